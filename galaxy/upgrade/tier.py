"""The smoke tier of the checks on one server, from inside galaxy: the same run as `galaxy verify --server`."""

import re
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from galaxy.gate.finish import finish
from galaxy.gate.launch import Probe, run_target
from galaxy.gate.policy import load_policy
from galaxy.gate.probe import describe, write_target
from galaxy.gate.results import RESULTS_FILE, Outcome, read_results
from galaxy.host.errors import CommandTimeoutError
from galaxy.host.files import read_password
from galaxy.host.netns import inside_network
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.network import namespace_of

_TIER = "smoke"
_PATIENCE = 10.0
_BEFORE = " (before: "
_FIGURES = re.compile(r"\d+")


class TierResult(BaseModel):
    """How many checks passed, and what each other one says; `folder` has the run's details.

    `before` are those that fail as well, and failed with the version before too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    passed: int
    troubles: tuple[str, ...]
    folder: Path
    before: tuple[str, ...] = ()

    def less(self, known: Iterable[str]) -> "TierResult":
        """The same, without a word against the new version for the checks that failed before it: `known` says which.

        Where one said something else before, that is told too: it may be another fault.
        """
        said = {_name(line): line for line in known}
        old = tuple(_both(line, said[_name(line)]) for line in self.troubles if _name(line) in said)
        new = tuple(line for line in self.troubles if _name(line) not in said)
        return self.model_copy(update={"troubles": new, "before": old})


def _name(trouble: str) -> str:
    return trouble.partition(":")[0]


def _both(now: str, before: str) -> str:
    """What a check says and has said: once, when that differs in figures at most (times, ports, process ids)."""
    said = before.partition(_BEFORE)[0]
    if _FIGURES.sub("", now) == _FIGURES.sub("", said):
        return now
    return f"{now}{_BEFORE}{said.partition(':')[2].strip()})"


def run_tier(
    server: Server, folder: Path, *, account: str = "Administrator", password_file: Path | None = None
) -> TierResult:
    """Run the smoke tier against a running server, by an administrator of its domain; results go to `folder`.

    The clients run in the server's own network, where nothing else reaches a copy.
    """
    folder.mkdir(parents=True, mode=0o700)
    target = write_target(server, folder, account=account, password_file=password_file)
    describe(folder, server.name, "")
    path = namespace_of(server)
    with nullcontext() if path is None else inside_network(path):
        run_target(server.store, folder, Probe(file=target, tier=_TIER), lambda _line: None)
    finish(folder, load_policy(), seconds=0.0)
    items = read_results(folder / RESULTS_FILE)
    bad = [item for item in items if item.outcome in {Outcome.FAILED, Outcome.BLOCKED}]
    return TierResult(
        passed=sum(item.outcome is Outcome.PASSED for item in items),
        troubles=tuple(f"{item.id}: {item.message.partition(chr(10))[0] or item.outcome}" for item in bad),
        folder=folder,
    )


def password_is_good(server: Server) -> bool:
    """Whether the administrator's password that was made with the server still is it: one ticket.

    Not by NTLM or LDAP: there Samba takes the password of before for another hour (smb.conf(5), old password allowed
    period). One wrong try is far below any lockout threshold; an administrator who has changed the password is the
    usual case.
    """
    file = server.secrets / "admin-password"
    if not file.exists():
        return False
    logon = "PASSWD_FD=0 KRB5CCNAME=MEMORY:once exec net ads kerberos kinit -U Administrator"
    try:
        done = exec_(server, ("/bin/sh", "-c", logon), stdin=f"{read_password(file)}\n", timeout=_PATIENCE)
    except CommandTimeoutError:
        return False
    return done.returncode == 0
