"""A domain with real content: people, nested groups, a computer with a keytab, policies, DNS, rights, a schema."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from galaxy.host.files import read_password
from galaxy.server.config import Server
from scenarios.scripts import run_script

# A password costs some 10 ms of key derivation, an account without one about a tenth.
_SECONDS_A_USER, _SECONDS = 0.05, 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was made: accounts that can log on with their passwords, and where the rest is to be found."""

    users: int
    accounts: dict[str, str] = field(repr=False)
    keytab: Path
    policy: str
    policy_files: tuple[Path, ...]
    records: tuple[str, ...]


def populate(server: Server, users: int = 2000, bound: int = 20) -> Content:
    """Fill the domain of a running server, once; `bound` of the users get a password.

    Paths are as the server sees them. CommandError with samba-tool's words when something cannot be made.
    """
    asked = {
        "users": users,
        "bound": min(bound, users),
        "address": server.config.address,
        "administrator": "Administrator",
        "password": read_password(server.secrets / "admin-password"),
        "seed": secrets.token_hex(6),
    }
    printed = run_script(server, "content", asked, timeout=_SECONDS + users * _SECONDS_A_USER)
    made = json.loads(printed.splitlines()[-1])
    return Content(
        users=users,
        accounts=made["accounts"],
        keytab=Path(made["keytab"]),
        policy=made["policy"]["guid"],
        policy_files=tuple(Path(path) for path in made["policy"]["files"]),
        records=tuple(made["records"]),
    )


def require_logons(server: Server, accounts: Mapping[str, str]) -> int:
    """Bind with each account by Kerberos and by NTLM; AssertionError names those that fail. Returns how many binds."""
    asked = {"host": server.config.fqdn, "accounts": dict(accounts)}
    refused = run_script(server, "logon", asked, timeout=_SECONDS).splitlines()
    assert not refused, f"{len(refused)} logons fail: {'; '.join(refused[:3])}"
    return 2 * len(accounts)
