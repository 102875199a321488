"""What people see of a run: a line when a place is done, and one for everything that did not pass."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from galaxy.gate.results import ItemResult, Outcome
from verify.record import Recorder, properties_of

_SHORT = {
    Outcome.PASSED: ".",
    Outcome.FAILED: "F",
    Outcome.KNOWN: "k",
    Outcome.BLOCKED: "B",
    Outcome.NOT_APPLICABLE: "n",
}


@dataclass(slots=True)
class Tally:
    """What is known so far of one cell's checkpoint."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        counts = ", ".join(f"{self.outcomes[word]} {word.value}" for word in Outcome if self.outcomes[word])
        return f"{counts} in {self.seconds:.1f} s"


class Progress:
    """Follows the reports in the controller, writes the results, and tells how the run goes."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tallies: dict[str, Tally] = {}
        self._troubles: list[ItemResult] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """UsageError for what cannot be loaded: the workers would go on without these checks, and nobody be told."""
        if not report.passed:
            lines = [line.removeprefix("E").strip() for line in str(report.longrepr).splitlines()]
            why = next((line for line in reversed(lines) if line), report.outcome)
            raise pytest.UsageError(f"{report.nodeid} cannot be loaded: {why}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a phase; an item that has ended is written and counted."""
        result = self._recorder.add(report)
        if result is None:
            return
        tally = self._tallies.setdefault(f"{result.cell} {result.checkpoint}".strip(), Tally())
        tally.outcomes[result.outcome] += 1
        tally.seconds += result.seconds
        if result.outcome not in (Outcome.PASSED, Outcome.NOT_APPLICABLE):
            self._troubles.append(result)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, str] | None:
        """The gate's words instead of pytest's for what is ours."""
        told = properties_of(report) if isinstance(report, pytest.TestReport) else {}
        if not told:
            return None
        outcome = Outcome(told["outcome"])
        if report.when != "call" and outcome is Outcome.PASSED:
            return "", "", ""
        return outcome.value, _SHORT[outcome], outcome.value.upper()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table of places, then what is wrong."""
        if self._tallies:
            terminalreporter.section("checks")
        for name, tally in self._tallies.items():
            terminalreporter.write_line(f"{name}: {tally}")
        for result in self._troubles:
            where = f"{result.cell} {result.checkpoint}"
            terminalreporter.write_line(
                f"{result.outcome.value:8} {result.id} ({where}): {_first_line(result.message)}"
            )

    def pytest_unconfigure(self) -> None:
        """End the results file."""
        self._recorder.close()


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
