"""What the end of a pytest that ran nothing means."""

import pytest

from galaxy.gate import launch
from galaxy.gate.launch import Launch, run_matrix
from galaxy.host.errors import GalaxyError, InputError
from galaxy.host.store import Store


@pytest.mark.parametrize(
    ("said", "kind", "why"),
    [
        (["1 cell on 1 worker, only -k 'x'"], InputError, "-k 'x' selects no check"),
        (
            ["Traceback:", "ImportError: no such thing", ""],
            GalaxyError,
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
