"""galaxy doctor."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from galaxy.cli.render import print_json, table
from galaxy.host.doctor import Finding, examine
from galaxy.host.errors import HostError
from galaxy.host.kernel import probe
from galaxy.host.store import default_store


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Can this host build, run and verify? Each line: what was found, what it is needed for, what to do.

    Kernel features are tried in a throwaway folder of the store. Exit code 3: something necessary is missing.
    """
    findings = list(_all())
    if as_json:
        print_json([{**asdict(finding), "ok": finding.ok} for finding in findings])
    else:
        _print(findings)
    missing = [finding.name for finding in findings if finding.necessary and not finding.ok]
    if missing:
        raise HostError(f"this host lacks: {', '.join(missing)}", "Do what the lines above say.")


def _all() -> Iterator[Finding]:
    store = default_store()
    yield from examine(store)
    if os.geteuid() == 0:
        try:
            yield from probe(store.ensure())
        except OSError as error:
            needed = "trying what the kernel can do"
            yield Finding(name="store", found=str(error), needed=needed, remedy="Make the store writable.")


def _print(findings: list[Finding]) -> None:
    rows = [(_mark(finding), finding.name, finding.found, finding.needed) for finding in findings]
    table(("", "what", "found", "needed for"), rows)
    for finding in findings:
        if not finding.ok:
            print(f"{finding.name}: {finding.remedy}")


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "ok"
    return "MISSING" if finding.necessary else "low"
