"""galaxy certificate show|check|import|key|trust: the evidence, and whose signature counts."""

from pathlib import Path
from typing import Annotated

import typer

from galaxy.cli.render import found_store, need_root, print_json, ready_store
from galaxy.gate.certificate import (
    Certificate,
    import_certificate,
    require_certificate,
    verify_certificate,
)
from galaxy.gate.policy import load_policy
from galaxy.gate.results import Outcome
from galaxy.gate.signing import public_key_file, signer, trust
from galaxy.gate.withdrawal import certificate_file
from galaxy.image.catalogue import Catalogue

_Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def show(reference: Annotated[str, typer.Argument(metavar="REF")], json_: _Json = False) -> None:
    """Show an image's certificate: policy, suite, key, what passed. Ends with 6 when it has no good one."""
    need_root("Reading the store")
    store = found_store()
    image = Catalogue(store=store).resolve(reference)
    certificate = require_certificate(store, image, load_policy())
    _print(certificate, certificate_file(store, image.id), as_json=json_)


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate, from here or elsewhere.")],
    json_: _Json = False,
) -> None:
    """Check a certificate file's signature against the keys that this host trusts."""
    need_root("Reading the trusted keys")
    _print(verify_certificate(found_store(), file), file, as_json=json_)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate from elsewhere.")],
) -> None:
    """Take somebody else's word for an image: a certificate that is signed with a key which this host trusts.

    Ends with 6 when the key is not trusted, production's policy is not satisfied, or a run here has failed that image.
    """
    store = ready_store("Changing the certificates")
    certificate = import_certificate(store, file, load_policy())
    print(f"certificate of {certificate.ref}: {certificate_file(store, certificate.image_id)}")


def key() -> None:
    """Print the public key that checks this host's certificates (made on first use)."""
    store = ready_store("Making the signing key")
    signer(store)
    print(public_key_file(store).read_text(encoding="utf-8"), end="")


def trust_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ed25519 public key in PEM.")],
) -> None:
    """Take certificates of this key on this host from now on."""
    print(f"trusted: {trust(ready_store('Changing the trusted keys'), file)}")


def _print(certificate: Certificate, file: Path, *, as_json: bool) -> None:
    passed = sum(item.outcome is Outcome.PASSED for item in certificate.items)
    told = {
        "image": certificate.ref,
        "image_sha256": certificate.image_id,
        "policy": certificate.policy,
        "passed": passed,
        "known": len(certificate.items) - passed,
        "cells": sorted({item.cell for item in certificate.items}),
        "suite_sha256": certificate.suite,
        "results_sha256": certificate.results_sha256,
        "key": certificate.keyid,
        "file": file,
    }
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        words = ", ".join(value) if isinstance(value, list) else value
        print(f"{name.replace('_', ' '):15} {words}")
