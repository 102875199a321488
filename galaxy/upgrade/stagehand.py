"""An administrator for the checks, made in a copy that is thrown away: nobody knows the real one's password."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxy.host.files import write_atomic
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.provision import random_password
from galaxy.server.script import argv_of
from galaxy.upgrade.dump import require_copy

_SCRIPT = """
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
parameters = LoadParm()
parameters.load_default()
samdb = SamDB(session_info=system_session(), lp=parameters)
name = sys.argv[1]
samdb.newuser(name, sys.stdin.read())
samdb.add_remove_group_members("Domain Admins", [name], add_members_operation=True)
"""


@contextmanager
def temporary_administrator(copy: Server) -> Iterator[tuple[str, Path]]:
    """Make an administrator in a running copy; gives its name and the file that has its password."""
    require_copy(copy)
    name, word = f"galaxy-{secrets.token_hex(4)}", random_password()
    exec_(copy, (*argv_of(_SCRIPT), name), stdin=word, check=True)
    file = copy.secrets / "rehearsal-password"
    write_atomic(file, word + "\n", 0o600)
    yield name, file
