from types import SimpleNamespace

from galaxy.gate.summary import Verdict
from galaxy.gate.verdict import last_verdict, remember
from galaxy.host.store import Store


def summary(selection: str, *reasons: str) -> SimpleNamespace:
    return SimpleNamespace(
        selection=selection,
        shard="",
        verdicts={"4.22.11": Verdict(image_id="ab" * 32, passed=not reasons, reasons=reasons)},
    )


def test_the_reasons_of_a_whole_run_are_there_later(tmp_path):
    store = Store(root=tmp_path)
    remember(store, summary("", "ldap.rootdse failed"))
    assert last_verdict(store, "ab" * 32).reasons == ("ldap.rootdse failed",)


def test_a_run_of_selected_checks_says_nothing_of_an_image(tmp_path):
    store = Store(root=tmp_path)
    remember(store, summary("rootdse", "ldap.rootdse failed"))
    assert last_verdict(store, "ab" * 32) is None


def test_a_note_that_cannot_be_read_is_no_note(tmp_path):
    store = Store(root=tmp_path)
    remember(store, summary("", "ldap.rootdse failed"))
    (store.certificates / ("ab" * 32) / "verdict.json").write_text("{")
    assert last_verdict(store, "ab" * 32) is None
