"""Signed evidence that an image passed a policy: an in-toto Test Result statement in a DSSE envelope.

The subject is the image's squashfs by SHA-256; `configuration` names the suite, the policy and the run's
results.jsonl by digest; `passedTests` lists every item that passed as `CELL/CHECKPOINT/ID`. So a certificate
can be held against another policy, or a later version of the same one, without the run's folder.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError

from galaxy.gate.policy import Policy, judge, load_policy
from galaxy.gate.results import RESULTS_FILE, ItemResult, Outcome, read_results
from galaxy.gate.run import ImageUnderTest, RunInfo
from galaxy.gate.signing import signer, trusted_keys
from galaxy.gate.suite import suite_digest
from galaxy.gate.summary import blanket_reasons, items_of
from galaxy.gate.withdrawal import certificate_file, withdrawn
from galaxy.host.errors import GateError, InputError, PolicyError
from galaxy.host.files import sha256_file, sha256_text, write_atomic
from galaxy.host.store import Store
from galaxy.host.wording import first_of
from galaxy.image.catalogue import Image
from galaxy.image.mount import verify_digest

PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
# What the statement calls the time at which the run began.
_BEGAN = "began"
# How many reasons an error tells: a policy that asks for more meets each of a run's checkpoints.
_REASONS = 3
_AGAIN = "Verify that image again on this host."
_A_CERTIFICATE = "Name a file that galaxy verify has written; galaxy certificate show names an image's."


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate whose signature and form are good: what it says.

    `began` is when its run did; None in one of an older Galaxy.
    """

    ref: str
    image_id: str
    policy: str
    suite: str
    results_sha256: str
    keyid: str
    began: datetime | None
    items: tuple[ItemResult, ...]

    def is_later_than(self, failure: datetime | None) -> bool:
        """Whether its run began after the one that failed the image, if one has."""
        return failure is None or (self.began is not None and self.began > failure)


def certify(store: Store, folder: Path, ref: str, policy: Policy) -> Path:
    """Sign that a run (its folder) shows `ref` to satisfy the policy; GateError says why it does not.

    A copy of the results is kept beside the certificate. One that satisfies production's policy stays when this one's
    asks for less.
    """
    run, items = RunInfo.read(folder), read_results(folder / RESULTS_FILE)
    reasons = (
        *blanket_reasons(run, items),
        *judge(policy, ref, items_of(run, ref, items)),
        *_out_of_date(store, run, run.image(ref).id),
    )
    if reasons:
        why = f"the run does not certify {ref}: {'; '.join(reasons)}"
        raise GateError(why, "Run galaxy verify --matrix all, and mend what fails.")
    image = run.image(ref)
    if policy != load_policy() and _is_for_production(store, image.id):
        return certificate_file(store, image.id)
    statement = _statement(image, run, items, policy, folder / RESULTS_FILE)
    envelope = Envelope(json.dumps(statement, sort_keys=True).encode(), PAYLOAD_TYPE, {})
    envelope.sign(signer(store))
    return _enter(store, image.id, envelope, folder / RESULTS_FILE)


def _enter(store: Store, image_id: str, envelope: Envelope, results: Path | None) -> Path:
    """Write an image's certificate, with a copy of the results that it names if they are here."""
    file = certificate_file(store, image_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = file.with_name(RESULTS_FILE)
    if results is not None:
        shutil.copyfile(results, kept)
    else:
        kept.unlink(missing_ok=True)  # another run's
    write_atomic(file, json.dumps(envelope.to_dict(), indent=1) + "\n")
    return file


def _out_of_date(store: Store, run: RunInfo, image_id: str) -> Iterator[str]:
    """Why a run says nothing any more: other checks are in place now, or a later run has failed the image."""
    if run.suite != suite_digest():
        yield "the checks in place are not those that the run began with"
    when = withdrawn(store, image_id)
    if when is not None and when > run.started:
        yield f"a later run, of {when:%Y-%m-%d %H:%M} UTC, failed it"


def _is_for_production(store: Store, image_id: str) -> bool:
    """Whether the image's certificate is good, and enough for the policy that Galaxy ships."""
    try:
        certificate = verify_certificate(store, certificate_file(store, image_id))
    except (InputError, PolicyError):
        return False
    good = certificate.image_id == image_id and certificate.is_later_than(withdrawn(store, image_id))
    return good and not judge(load_policy(), certificate.ref, certificate.items)


def verify_certificate(store: Store, file: Path) -> Certificate:
    """Read a certificate; InputError when it is none, PolicyError when it was changed, or an untrusted key's."""
    return _verified(store, _read_envelope(file), file)


def import_certificate(store: Store, file: Path, policy: Policy) -> Certificate:
    """Take a certificate that was signed elsewhere, whether its image is here yet or not.

    PolicyError unless its key is trusted here and it satisfies the policy; or when a run on this host has failed the
    image, and none has certified it for production since: what was seen here counts for more.
    """
    envelope = _read_envelope(file)
    certificate = _verified(store, envelope, file)
    _require_satisfied(certificate, policy, "Ask for one of a whole run: galaxy verify --matrix all")
    when = withdrawn(store, certificate.image_id)
    if when is not None and not _is_for_production(store, certificate.image_id):
        raise _withdrawn_by(when, certificate, _AGAIN)
    _require_not_withdrawn(store, certificate, _AGAIN)
    _enter(store, certificate.image_id, envelope, None)
    return certificate


def _verified(store: Store, envelope: Envelope, file: Path) -> Certificate:
    keys = trusted_keys(store)
    known = [keyid for keyid in envelope.signatures if keyid in keys]
    if not known:
        who = ", ".join(keyid[:16] for keyid in envelope.signatures) or "nobody"
        why = f"{file} is signed by {who}, and this host does not trust that key"
        raise PolicyError(why, "If you do: galaxy certificate trust PUBLIC-KEY.pem")
    try:
        envelope.verify([keys[keyid] for keyid in known], 1)
    except VerificationError:
        raise PolicyError(f"{file} was changed after it was signed", "Run galaxy verify again.") from None
    try:
        return _certificate(json.loads(envelope.payload), known[0])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{file} is not a certificate of Galaxy: {error!r}", _A_CERTIFICATE) from None


def require_certificate(store: Store, image: Image, policy: Policy, *, waivable: bool = False) -> Certificate:
    """The image's certificate if it satisfies the policy; PolicyError says exactly what is missing.

    The image's bytes are read again: a certificate is worth nothing for a file that was changed since.
    `waivable`: the command that asks has the option --allow-uncertified, which the hint then names.
    """
    waiver = " (or give --allow-uncertified)" if waivable else ""
    hint = f"Run, with images of two versions in the store: galaxy verify --matrix all{waiver}."
    file = certificate_file(store, image.id)
    if not file.exists():
        raise PolicyError(f"the image {image.ref} ({image.id[:12]}) has no certificate", hint)
    try:
        certificate = verify_certificate(store, file)
    except InputError as error:
        raise PolicyError(error.message, hint) from None
    if certificate.image_id != image.id:
        why = (
            f"the certificate of {image.ref} is for other bytes: it names sha256 "
            f"{certificate.image_id[:16]}, the image has {image.id[:16]}"
        )
        raise PolicyError(why, hint)
    _require_not_withdrawn(store, certificate, hint)
    verify_digest(image)
    _require_satisfied(certificate, policy, hint)
    return certificate


def _require_satisfied(certificate: Certificate, policy: Policy, hint: str) -> None:
    if reasons := judge(policy, certificate.ref, certificate.items):
        short = first_of(reasons, _REASONS, "; ")
        why = f"the certificate of {certificate.ref} does not satisfy the policy {policy.name}: {short}"
        raise PolicyError(why, hint)


def _require_not_withdrawn(store: Store, certificate: Certificate, hint: str) -> None:
    when = withdrawn(store, certificate.image_id)
    if when is not None and not certificate.is_later_than(when):
        raise _withdrawn_by(when, certificate, hint)


def _withdrawn_by(when: datetime, certificate: Certificate, hint: str) -> PolicyError:
    why = f"the certificate of {certificate.ref} was withdrawn by the run of {when:%Y-%m-%d %H:%M} UTC"
    return PolicyError(why, hint)


def _statement(
    image: ImageUnderTest, run: RunInfo, items: Sequence[ItemResult], policy: Policy, results: Path
) -> dict[str, Any]:
    """The statement as in-toto writes it down in JSON."""
    own = items_of(run, image.ref, items)
    configuration = [
        ResourceDescriptor(name="suite", digest={"sha256": run.suite}, annotations={"galaxy": run.galaxy}),
        ResourceDescriptor(
            name=f"policy/{policy.name}", digest={"sha256": sha256_text(policy.model_dump_json())}
        ),
        ResourceDescriptor(
            name=RESULTS_FILE,
            digest={"sha256": sha256_file(results)},
            annotations={_BEGAN: run.started.isoformat()},
        ),
    ]
    subject = ResourceDescriptor(name=image.ref, digest={"sha256": image.id})
    predicate = {
        "result": "PASSED",
        "configuration": [MessageToDict(part.pb) for part in configuration],
        "passedTests": _names(own, Outcome.PASSED),
        "warnedTests": _names(own, Outcome.KNOWN),
        "failedTests": _names(own, Outcome.FAILED),
    }
    statement = Statement([subject.pb], PREDICATE_TYPE, predicate)
    statement.validate()
    return dict(MessageToDict(statement.pb))


def _names(items: Iterable[ItemResult], outcome: Outcome) -> list[str]:
    return [f"{item.cell}/{item.checkpoint}/{item.id}" for item in items if item.outcome is outcome]


def _read_envelope(file: Path) -> Envelope:
    try:
        envelope = Envelope.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        why = f"cannot read the certificate {file}: {error.strerror}"
        raise InputError(why, "Name a file that can be read.") from None
    except Exception:  # noqa: BLE001 - the library raises a dozen kinds on broken input
        raise InputError(f"{file} is no certificate: it is not a DSSE envelope", _A_CERTIFICATE) from None
    if envelope.payload_type != PAYLOAD_TYPE:
        why = f"{file} is no certificate: it holds {envelope.payload_type!r}, not an in-toto statement"
        raise InputError(why, _A_CERTIFICATE)
    return envelope


def _certificate(body: dict[str, Any], keyid: str) -> Certificate:
    """A certificate out of a statement; ValueError, KeyError or TypeError when it is something else."""
    predicate = body["predicate"]
    if body["predicateType"] != PREDICATE_TYPE or predicate["result"] != "PASSED":
        raise ValueError("not a passed Test Result")
    (subject,) = body["subject"]
    parts = {part["name"]: part["digest"]["sha256"] for part in predicate["configuration"]}
    if not _IMAGE_ID.fullmatch(subject["digest"]["sha256"]):
        raise ValueError("its subject is no SHA-256")
    (results,) = (part for part in predicate["configuration"] if part["name"] == RESULTS_FILE)
    began = results.get("annotations", {}).get(_BEGAN)
    (policy,) = (name.removeprefix("policy/") for name in parts if name.startswith("policy/"))
    return Certificate(
        ref=subject["name"],
        image_id=subject["digest"]["sha256"],
        policy=policy,
        suite=parts["suite"],
        results_sha256=parts[RESULTS_FILE],
        keyid=keyid,
        began=datetime.fromisoformat(began).astimezone(UTC) if began is not None else None,
        items=(
            *(_item(name, Outcome.PASSED) for name in predicate.get("passedTests", [])),
            *(_item(name, Outcome.KNOWN) for name in predicate.get("warnedTests", [])),
            *(_item(name, Outcome.FAILED) for name in predicate.get("failedTests", [])),
        ),
    )


def _item(name: str, outcome: Outcome) -> ItemResult:
    cell, checkpoint, check = name.rsplit("/", 2)
    return ItemResult(
        id=check,
        area=check.partition(".")[0],
        cell=cell,
        checkpoint=checkpoint,
        outcome=outcome,
        seconds=0.0,
    )
