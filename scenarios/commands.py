"""What an administrator does on a DC with the programs of its image: tools/*.toml, run inside and judged.

A file a topic, whose commands are done in order: what one of them makes, one after it removes, but for two policies.
"""

import json
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from galaxy.host.files import read_password
from galaxy.host.settings import parse_toml
from galaxy.release.version import Version
from galaxy.server.config import Server
from scenarios.scripts import run_script

_HERE = Path(__file__).parent
FOLDER = "/var/cache/samba/tools"
_DEFAULT_POLICY = "{31B2F340-016D-11D2-945F-00C04FB984F9}"
# A command's time, and what a table may take: samba 4.20.0 to 4.20.7 never came to the end of an offline backup.
_COMMAND_SECONDS, _SECONDS = 60, 200.0
# How often what may not be answered is asked, and how long it is waited for.
_TRIES, _TRY_SECONDS = 4, 8
_SECRETS = ("password", "secret", "secret2")
# What none of them may say: a Python error, or that the C library lacks a code page.
_NEVER = r"Traceback \(most recent|uncaught exception|unavailable - using"
_TOLD = 300


class Command(BaseModel):
    """A row of tools/*.toml.

    `run` has the words as in a shell, with the names of `_meanings` in braces; `{ldap}` stands for the server's
    address and the administrator, so that samba-tool goes over the network and not into the database. When the
    command has ended with 0, the regular expression `says` must be found in what it said, and `no` must not. `given`
    is its standard input; `password` what it reads where PASSWD_FILE says, for programs that are no samba-tool: their
    words can be seen. Versions before `since` have no such command. `again`: a server that is busy may not answer it,
    or refuse, and is asked again then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    says: str = ""
    no: str = ""
    given: str = ""
    password: str = ""
    since: str = "4.0"
    again: bool = False


class _Topic(BaseModel):
    """A file of tools/."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: tuple[Command, ...]


def commands(topic: str) -> tuple[Command, ...]:
    """The commands of a topic, in order."""
    return parse_toml(_HERE / "tools" / f"{topic}.toml", _Topic).command


def do_commands(server: Server, version: Version, wanted: tuple[Command, ...]) -> int:
    """Run those that this version has, in a running server; how many. AssertionError names all that went wrong."""
    rows = [row for row in wanted if version >= Version.parse(row.since)]
    known = _meanings(server)
    asked = {
        "commands": [
            {
                "words": _words(row.run, known),
                "given": row.given.format_map(known),
                "password": row.password.format_map(known),
                "again": row.again,
            }
            for row in rows
        ],
        "seconds": _COMMAND_SECONDS,
        "tries": _TRIES,
        "try_seconds": _TRY_SECONDS,
    }
    printed = run_script(server, "commands", asked, timeout=_SECONDS)
    answers = [json.loads(line) for line in printed.splitlines()]
    assert len(answers) == len(rows), f"{len(answers)} of {len(rows)} commands ended"
    wrong = [why for row, answer in zip(rows, answers, strict=True) if (why := _wrong(row, answer, known))]
    assert not wrong, f"{len(wrong)} of {len(rows)} commands do not do their work: " + "; ".join(wrong)
    return len(rows)


def _words(run: str, known: Mapping[str, str]) -> list[str]:
    """The words of a command; what stands for several of them is filled in first, and none has a space in it."""
    return shlex.split(run.replace("{ldap}", "-H ldap://{address} {admin}").format_map(known))


def _wrong(row: Command, answer: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """Why a command did not do its work, without its passwords; "" if it did."""
    said = str(answer["said"])
    for name in _SECRETS:
        said = said.replace(known[name], "***")
    expected = {name: re.escape(text) for name, text in known.items()}
    if answer["code"] != 0:
        why = f"ended with {answer['code']}"
    elif row.says and not re.search(_filled(row.says, expected), said):
        why = f"does not say {row.says!r}"
    elif found := re.search(_NEVER, said) or (row.no and re.search(_filled(row.no, expected), said)):
        why = f"says {found[0]!r}"
    else:
        return ""
    return f"{row.run!r} {why}: {_short(said)}"


def _short(said: str) -> str:
    """Its first error, and how it ends."""
    text = said.strip() or "nothing"
    error = next((line for line in text.splitlines() if line.startswith("ERROR")), "")
    return text if len(text) <= _TOLD else f"{error[:_TOLD]} ... {text[-_TOLD:]}"


def _filled(pattern: str, expected: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: expected.get(found[1], found[0]), pattern)


def _meanings(server: Server) -> dict[str, str]:
    """What the names in braces stand for; `secret` and `secret2` are new passwords, `folder` one for files inside."""
    password = read_password(server.secrets / "admin-password")
    config = server.config
    return {
        "address": config.address,
        "fqdn": config.fqdn,
        "realm": config.realm.lower(),
        "workgroup": config.domain,
        "base": config.base_dn,
        "policy": _DEFAULT_POLICY,
        "folder": FOLDER,
        "admin": f"-UAdministrator%{password}",
        "login": f"Administrator {password}",
        "password": password,
        "secret": f"Aa1-{secrets.token_urlsafe(12)}",
        "secret2": f"Bb2-{secrets.token_urlsafe(12)}",
    }
