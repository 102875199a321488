"""Certificates: made from good runs only, checked by anyone, refused for every kind of damage."""

import base64
import datetime as dt
import json
import os
import threading
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from galaxy.gate import certificate as certificate_module
from galaxy.gate import suite
from galaxy.gate.certificate import (
    PREDICATE_TYPE,
    certify,
    import_certificate,
    require_certificate,
    verify_certificate,
)
from galaxy.gate.policy import Policy
from galaxy.gate.results import ItemResult, Outcome, write_results
from galaxy.gate.run import ImageUnderTest, RunInfo
from galaxy.gate.signing import private_key_file, public_key_file, signer, trust, trusted_folder, trusted_keys
from galaxy.gate.suite import suite_digest
from galaxy.gate.withdrawal import certificate_file, withdraw
from galaxy.host.errors import GateError, PolicyError
from galaxy.host.files import sha256_file, sha256_text
from galaxy.host.store import Store

BYTES = b"squashfs"
IMAGE = ImageUnderTest(ref="4.22.11", id=sha256_text(BYTES.decode()))
CELL = "lifecycle[4.22.11]"


@pytest.fixture
def image(tmp_path):
    squashfs = tmp_path / "image.squashfs"
    squashfs.write_bytes(BYTES)
    return SimpleNamespace(ref=IMAGE.ref, id=IMAGE.id, squashfs=squashfs)


def policy(**minimum):
    return Policy.model_validate(
        {
            "name": "small",
            "minimum": minimum or {"ldap": 1},
            "require": [{"scenario": "lifecycle", "checkpoints": ["started"]}],
        }
    )


def item(check="ldap.bind", outcome=Outcome.PASSED):
    area = check.partition(".")[0]
    return ItemResult(id=check, area=area, cell=CELL, checkpoint="started", outcome=outcome, seconds=0.1)


@pytest.fixture
def store(tmp_path):
    return Store(root=tmp_path / "store")


@pytest.fixture
def run_folder(tmp_path):
    def make(*items, selection="", suite="", days=0.0):
        folder = tmp_path / "run"
        write_results(folder, items)
        RunInfo(
            started=dt.datetime.now(dt.UTC) - dt.timedelta(days=days),
            galaxy="1",
            suite=suite or suite_digest(),
            matrix="quick",
            selection=selection,
            images=(IMAGE,),
            cells={CELL: (IMAGE.ref,)},
        ).write(folder)
        return folder

    return make


@pytest.fixture
def certified(store, run_folder):
    return certify(store, run_folder(item(), item("step.start")), IMAGE.ref, policy())


def test_securesystemslib_alone_can_verify_it(store, certified):
    key = SSlibKey.from_crypto(load_pem_public_key(public_key_file(store).read_bytes()))
    envelope = Envelope.from_dict(json.loads(certified.read_text()))
    assert list(envelope.verify([key], 1)) == [key.keyid]
    statement = json.loads(envelope.payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == PREDICATE_TYPE
    assert statement["subject"] == [{"name": "4.22.11", "digest": {"sha256": IMAGE.id}}]
    assert statement["predicate"]["passedTests"] == [
        f"{CELL}/started/ldap.bind",
        f"{CELL}/started/step.start",
    ]


def test_it_names_the_suite_and_the_results(store, image, certified):
    certificate = verify_certificate(store, certified)
    assert certificate.suite == suite_digest()
    assert certificate.results_sha256 == sha256_file(certified.parent / "results.jsonl")
    assert require_certificate(store, image, policy()) == certificate


@pytest.mark.usefixtures("certified")
def test_the_private_key_is_the_owners_alone(store):
    assert private_key_file(store).stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in public_key_file(store).read_bytes()
    private_key_file(store).chmod(0o644)
    with pytest.raises(PolicyError, match="can be read by others"):
        signer(store)


@pytest.mark.usefixtures("certified")
def test_the_key_is_made_once(store):
    before = private_key_file(store).read_bytes()
    signer(store)
    assert private_key_file(store).read_bytes() == before


def test_a_certificate_from_elsewhere_is_taken_if_its_key_is_trusted(store, image, certified, tmp_path):
    here = Store(root=tmp_path / "here")
    file = certified
    with pytest.raises(PolicyError, match="does not trust that key"):
        import_certificate(here, file, policy())
    trust(here, public_key_file(store))
    with pytest.raises(PolicyError, match="too few checks passed: ldap 1 of 2"):
        import_certificate(here, file, policy(ldap=2))
    assert not certificate_file(here, IMAGE.id).exists()
    assert import_certificate(here, file, policy()).ref == IMAGE.ref
    assert require_certificate(here, image, policy()).image_id == IMAGE.id
    withdraw(here, IMAGE.id, dt.datetime.now(dt.UTC))
    with pytest.raises(PolicyError, match="was withdrawn"):
        import_certificate(here, file, policy())
    assert not certificate_file(here, IMAGE.id).exists()


@pytest.mark.parametrize(
    ("items", "selection", "why"),
    [
        ((), "", "empty"),
        ((item(outcome=Outcome.NOT_APPLICABLE),), "", "empty"),
        ((item(), item("smb.read", Outcome.BLOCKED)), "", "partly blocked"),
        ((item(), item("smb.read", Outcome.FAILED)), "", "1 failed: smb.read at started"),
        ((item(),), "ldap", "-k 'ldap'"),
    ],
)
def test_a_bad_run_certifies_nothing(store, run_folder, items, selection, why):
    with pytest.raises(GateError, match=why):
        certify(store, run_folder(*items, selection=selection), IMAGE.ref, policy())
    assert not certificate_file(store, IMAGE.id).exists()
    assert not private_key_file(store).exists()


def test_no_certificate_says_how_to_get_one(store, image):
    with pytest.raises(PolicyError, match="has no certificate") as caught:
        require_certificate(store, image, policy())
    assert caught.value.exit_code == 6
    assert "galaxy verify" in caught.value.hint


def test_a_certificate_of_another_image_is_refused(store, image, certified):
    other = SimpleNamespace(ref=image.ref, id="d4" * 32, squashfs=image.squashfs)
    place = certificate_file(store, other.id)
    place.parent.mkdir()
    place.write_bytes(certified.read_bytes())
    with pytest.raises(PolicyError, match="other bytes"):
        require_certificate(store, other, policy())


@pytest.mark.usefixtures("certified")
def test_changed_bytes_are_refused(store, image):
    image.squashfs.write_bytes(b"squashfS")
    with pytest.raises(PolicyError, match="changed after it was sealed"):
        require_certificate(store, image, policy())


@pytest.mark.usefixtures("certified")
def test_a_stricter_policy_says_what_is_missing(store, image):
    with pytest.raises(PolicyError, match="ldap 1 of 2, smb 0 of 1"):
        require_certificate(store, image, policy(ldap=2, smb=1))


def test_a_changed_payload_is_noticed(store, certified):
    body = json.loads(certified.read_text())
    payload = base64.b64decode(body["payload"]).replace(b"ldap.bind", b"ldap.find")
    certified.write_text(json.dumps({**body, "payload": base64.b64encode(payload).decode()}))
    with pytest.raises(PolicyError, match="changed after it was signed"):
        verify_certificate(store, certified)


def test_a_key_from_elsewhere_counts_once_trusted(store, certified, tmp_path):
    elsewhere = Store(root=tmp_path / "elsewhere")
    signer(elsewhere)
    with pytest.raises(PolicyError, match="does not trust that key"):
        verify_certificate(elsewhere, certified)
    trust(elsewhere, public_key_file(store))
    assert verify_certificate(elsewhere, certified).ref == "4.22.11"
    for key in trusted_folder(elsewhere).glob("*.pem"):
        key.unlink()
    with pytest.raises(PolicyError, match="does not trust that key"):
        verify_certificate(elsewhere, certified)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"payload": "", "payloadType": "x", "signatures": []}']
)
def test_a_broken_file_is_said_to_be_broken(store, image, certified, text):
    certified.write_text(text)
    with pytest.raises(PolicyError, match=r"not a DSSE envelope|not an in-toto statement"):
        require_certificate(store, image, policy())


@pytest.mark.parametrize(
    "text", [None, "", "# README", "{}", '{"payload": "", "payloadType": "x", "signatures": []}']
)
def test_a_file_that_is_no_certificate_is_bad_input(store, galaxy_command, monkeypatch, tmp_path, text):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if text is not None:
        (tmp_path / "file").write_text(text)
    code, out, err = galaxy_command("certificate", "check", str(tmp_path / "file"))
    assert (code, out) == (2, "")
    assert f"{tmp_path}/file" in err


def test_only_a_command_with_the_option_names_it(store, image):
    for waivable in (False, True):
        with pytest.raises(PolicyError) as caught:
            require_certificate(store, image, policy(), waivable=waivable)
        assert ("--allow-uncertified" in caught.value.hint) is waivable


def test_a_run_of_other_checks_certifies_nothing(store, run_folder):
    with pytest.raises(GateError, match="not those that the run began with"):
        certify(store, run_folder(item(), suite="c3" * 32), IMAGE.ref, policy())


def test_a_cell_of_which_nothing_is_there_certifies_nothing(store, run_folder):
    folder = run_folder(item())
    run = RunInfo.read(folder)
    run.model_copy(update={"cells": {**run.cells, "disaster[4.22.11]": (IMAGE.ref,)}}).write(folder)
    with pytest.raises(GateError, match=r"nothing is there of 1 cells: disaster\[4\.22\.11\]"):
        certify(store, folder, IMAGE.ref, policy())


def test_what_was_withdrawn_counts_no_more_wherever_it_comes_from(store, image, run_folder):
    file = certify(store, run_folder(item(), days=2), IMAGE.ref, policy())
    copy = file.read_bytes()
    assert withdraw(store, IMAGE.id, dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    with pytest.raises(GateError, match=r"a later run, of .*, failed it"):
        certify(store, run_folder(item(), days=2), IMAGE.ref, policy())
    file.write_bytes(copy)
    with pytest.raises(PolicyError, match="was withdrawn by the run of"):
        require_certificate(store, image, policy())
    certify(store, run_folder(item()), IMAGE.ref, policy())
    assert require_certificate(store, image, policy())


def test_what_was_withdrawn_stays_so_after_a_run_of_less(store, image, run_folder, tmp_path):
    """A policy of somebody's own brings back neither the old run nor a copy of its certificate."""
    strict, weak = policy(ldap=2), policy()
    whole = (item(), item("ldap.search"))
    copy = tmp_path / "copy.json"
    copy.write_bytes(certify(store, run_folder(*whole, days=2), IMAGE.ref, strict).read_bytes())
    withdraw(store, IMAGE.id, dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    certify(store, run_folder(item()), IMAGE.ref, weak)
    assert require_certificate(store, image, weak)
    with pytest.raises(PolicyError, match="was withdrawn by the run of"):
        import_certificate(store, copy, strict)
    with pytest.raises(GateError, match=r"a later run, of .*, failed it"):
        certify(store, run_folder(*whole, days=2), IMAGE.ref, strict)


def test_after_a_pass_here_one_from_elsewhere_counts_again(store, run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(certificate_module, "load_policy", policy)
    withdraw(store, IMAGE.id, dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    copy = tmp_path / "copy.json"
    copy.write_bytes(certify(store, run_folder(item()), IMAGE.ref, policy()).read_bytes())
    assert import_certificate(store, copy, policy()).ref == IMAGE.ref
    certificate_file(store, IMAGE.id).unlink()
    with pytest.raises(PolicyError, match="was withdrawn by the run of"):
        import_certificate(store, copy, policy())


def test_checks_that_change_while_a_run_is_at_work_are_noticed(store, run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "package_root", lambda name: tmp_path / name)
    (tmp_path / "verify").mkdir()
    folder = run_folder(item())
    (tmp_path / "verify/check.py").write_text("")
    with pytest.raises(GateError, match="the checks in place are not those"):
        certify(store, folder, IMAGE.ref, policy())


def test_a_certificate_for_production_is_not_replaced_by_one_for_less(store, run_folder, monkeypatch):
    monkeypatch.setattr(certificate_module, "load_policy", lambda: policy(ldap=2))
    whole = certify(store, run_folder(item(), item("ldap.search")), IMAGE.ref, policy(ldap=2)).read_bytes()
    assert certify(store, run_folder(item()), IMAGE.ref, policy(ldap=1)).read_bytes() == whole
    assert certify(store, run_folder(item(), item("ldap.x")), IMAGE.ref, policy(ldap=2)).read_bytes() != whole


def test_a_key_that_comes_through_a_pipe_is_read_once(store, tmp_path):
    signer(store)
    key = public_key_file(store).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(key,))
    writer.start()
    assert trust(store, pipe, "other").read_bytes() == key
    writer.join()
    (trusted_folder(store) / "other.pem").write_bytes(b"")
    with pytest.raises(PolicyError, match=r"other\.pem is not a public key"):
        trusted_keys(store)
