"""A domain with real content: users, nested groups, a computer with a keytab, policies, DNS records, rights."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from galaxy.host.files import read_password
from galaxy.server.config import Server
from galaxy.server.execute import exec_

_SCRIPT = Path(__file__).with_name("inside") / "content.py"
_PYTHON = "/usr/bin/python3"
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
    argv = (_PYTHON, "-c", _SCRIPT.read_text(encoding="utf-8"))
    deadline = _SECONDS + users * _SECONDS_A_USER
    done = exec_(server, argv, stdin=json.dumps(asked), timeout=deadline, check=True)
    made = json.loads(done.stdout.splitlines()[-1])
    return Content(
        users=users,
        accounts=made["accounts"],
        keytab=Path(made["keytab"]),
        policy=made["policy"]["guid"],
        policy_files=tuple(Path(path) for path in made["policy"]["files"]),
        records=tuple(made["records"]),
    )
