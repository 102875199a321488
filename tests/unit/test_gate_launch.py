"""What the end of a pytest that ran nothing means."""

import pytest

from galaxy.gate import launch
from galaxy.gate.launch import Launch, Probe, run_matrix, run_target
from galaxy.host.errors import GalaxyError, GateError, HostError, InputError
from galaxy.host.store import Store


@pytest.mark.parametrize(
    ("said", "kind", "why"),
    [
        (["1 cell on 1 worker, only -k 'x'"], InputError, "-k 'x' selects no check"),
        (
            ["Traceback:", "ImportError: no such thing", ""],
            HostError,
            "not be started: ImportError: no such thing",
        ),
    ],
)
def test_a_run_of_nothing_says_why(tmp_path, monkeypatch, said, kind, why):
    """A suite that cannot be loaded is not taken for a selection of nothing."""

    def stream(_argv, *, on_line, **_more):
        for line in said:
            on_line(line)
        return 5

    monkeypatch.setattr(launch, "stream", stream)
    with pytest.raises(GalaxyError, match=why) as caught:
        run_matrix(Store(root=tmp_path), tmp_path, Launch(matrix="all", images=(), selection="x"), print)
    assert type(caught.value) is kind


@pytest.mark.parametrize("code", [2, 3, -9])
def test_checks_that_broke_off_are_no_result(tmp_path, monkeypatch, code):
    """Without a plan nobody can tell what is missing."""

    def stream(_argv, *, on_line, **_more):
        on_line("...")
        (tmp_path / "results.jsonl").write_text("")
        return code

    monkeypatch.setattr(launch, "stream", stream)
    with pytest.raises(GateError, match=f"the checks broke off: pytest ended with {code}"):
        run_target(Store(root=tmp_path), tmp_path, Probe(file=tmp_path / "t.toml", tier="smoke"), print)
