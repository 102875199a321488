"""Writing down a server's data: by its own image's Samba, on a copy, in a sandbox without network.

A newer Samba rewrites an older database when it opens it, so a live state is never dumped. Secrets leave the sandbox
only as digests under a key that this process makes and never writes: two dumps of one process can be compared, and
from a dump that stays on the disk nobody learns whether two accounts share a password, nor guesses one.
"""

import json
import secrets
import shutil
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from galaxy.host.errors import ServerError
from galaxy.host.journal import Entry
from galaxy.host.process import Completed
from galaxy.server import running
from galaxy.server.config import Server
from galaxy.server.container import handle, run_once, sandbox, write_bundle
from galaxy.server.provision import INIT
from galaxy.server.rootfs import rootfs_of
from galaxy.server.sandbox import Isolated
from galaxy.server.script import PYTHON
from galaxy.upgrade.consult import require_configuration
from galaxy.upgrade.dumpfile import DataDump

_SCRIPTS = ("dump.py", "databases.py", "files.py", "values.py")
_PYTHON = (PYTHON, "-B")
_PLACE = "/var/log/samba"
# 100,000 objects take half a minute on a quiet machine.
_SECONDS = 1200.0


def dump(server: Server, entry: Entry) -> DataDump:
    """Everything that an upgrade must keep, as the server's own image reads it; the file is in the copy's home.

    ServerError when Samba cannot read it: then the data are not sound, or not of that version.
    """
    home = require_copy(server)
    folder = server.log / f"dump-{secrets.token_hex(3)}"
    target = home / f"data-{secrets.token_hex(3)}.jsonl"
    with entry.temporarily("container", handle(server)), entry.temporarily("tree", folder):
        _put_scripts(folder)
        done = _run(server, folder.name)
        if done.returncode != 0:
            raise _unreadable(server, done)
        shutil.move(folder / "data", target)
    told = json.loads(done.stdout.splitlines()[-1])
    return DataDump(path=target, counts=told["counts"], seconds=done.seconds)


def require_copy(server: Server) -> Path:
    """The home of a copy. AssertionError for one of the store's own servers."""
    assert server.home is not None, f"{server.name} is no copy: what looks at its data would change them"
    assert server.home != server.store.servers / server.name, f"{server.home} is no copy's folder"
    return server.home


@cache
def _key() -> str:
    """The key of all digests of secrets in this process."""
    return secrets.token_hex(32)


def _put_scripts(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name in _SCRIPTS:
        with as_file(files("galaxy.upgrade") / "inside" / name) as script:
            shutil.copyfile(script, folder / name)


def _run(server: Server, folder: str) -> Completed:
    assert running.alive(server) is None, f"the copy of {server.name} is running"
    place = f"{_PLACE}/{folder}"
    box = sandbox(
        server, rootfs_of(server), (INIT, *_PYTHON, f"{place}/dump.py", f"{place}/data"), Isolated()
    )
    return run_once(server, write_bundle(server, box), _key(), _SECONDS)


def _unreadable(server: Server, done: Completed) -> ServerError:
    require_configuration(server, done)
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    return ServerError(
        f"the data of {server.name} cannot be read: {lines[-1] if lines else f'ended with {done.returncode}'}",
        f"Look whether its databases are sound: galaxy exec {server.name} -- samba-tool dbcheck --cross-ncs",
    )
