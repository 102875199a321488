"""The table at the end of a run: images by areas, and what each image's verdict is."""

from collections.abc import Iterator, Sequence

from galaxy.gate.policy import STEP_AREA
from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.run import RunInfo
from galaxy.gate.summary import Summary, count, items_of

_REASONS = 5
HEADERS = ("image", "area", "passed", "failed", "known", "blocked", "n/a", "seconds")


def area_rows(run: RunInfo, items: Sequence[ItemResult]) -> Iterator[tuple[str, ...]]:
    """A row for each image (or the target) and area, steps first, then a row of sums."""
    named = [(image.ref, items_of(run, image.ref, items)) for image in run.images]
    for name, own in named or [(run.matrix, tuple(items))]:
        areas = sorted({item.area for item in own}, key=lambda area: (area != STEP_AREA, area))
        for number, area in enumerate(areas):
            yield _row(name if number == 0 else "", area, [item for item in own if item.area == area])
        yield _row("", "all", own)


def _row(image: str, area: str, items: Sequence[ItemResult]) -> tuple[str, ...]:
    counts = count(items)
    order = (Outcome.PASSED, Outcome.FAILED, Outcome.KNOWN, Outcome.BLOCKED, Outcome.NOT_APPLICABLE)
    numbers = (str(counts[outcome]) if counts[outcome] else "-" for outcome in order)
    return (image, area, *numbers, f"{sum(item.seconds for item in items):.1f}")


def trouble_lines(items: Sequence[ItemResult]) -> Iterator[str]:
    """A line for each failure and known failure of a cell, with its checkpoints; one for what was blocked."""
    alike: dict[tuple[str, str, str], list[ItemResult]] = {}
    for item in items:
        if item.outcome in (Outcome.FAILED, Outcome.KNOWN):
            alike.setdefault((item.outcome.value, item.id, item.cell), []).append(item)
    for (outcome, name, cell), found in sorted(alike.items()):
        where = ", ".join(dict.fromkeys(item.checkpoint for item in found))
        yield f"{outcome}: {name} in {cell} at {where}: {found[0].message.partition(chr(10))[0]}"
    blocked: dict[str, list[ItemResult]] = {}
    for item in items:
        if item.outcome is Outcome.BLOCKED:
            blocked.setdefault(item.cell, []).append(item)
    for cell, lost in blocked.items():
        yield f"blocked: {len(lost)} items of {cell}: {lost[0].message}"


def verdict_lines(summary: Summary) -> Iterator[str]:
    """A line for each image, and below it the reasons against it."""
    for ref, verdict in summary.verdicts.items():
        if verdict.passed:
            yield f"{ref}: production-ready by the policy {summary.policy}"
            continue
        yield f"{ref}: not certified by the policy {summary.policy}"
        yield from (f"  {reason}" for reason in verdict.reasons[:_REASONS])
        if len(verdict.reasons) > _REASONS:
            yield f"  and {len(verdict.reasons) - _REASONS} more reasons (summary.json)"


def time_lines(summary: Summary) -> Iterator[str]:
    """How long the run took, what its workers did with the time, and the checks that took most of it."""
    told = summary.figures
    words = [f"{summary.seconds:.0f} s"]
    if "efficiency" in told:
        busy = ", ".join(
            f"{name.removesuffix('_busy_share')} {share:.0%}"
            for name, share in told.items()
            if name.endswith("_busy_share")
        )
        words += [
            f"{told['cells_per_minute']:.2g} cells a minute",
            f"efficiency {told['efficiency']:.2f} on {told['workers']:.0f} workers (busy: {busy})",
            f"{told['overhead_share']:.1%} of the workers' time was neither Samba nor a check",
        ]
    yield "; ".join(words)
    if summary.slowest_checks:
        slow = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in summary.slowest_checks.items())
        yield f"most time went to: {slow}"
