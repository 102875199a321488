"""Asking a server's database with the tools of the image that it belongs to.

A newer Samba's tool rewrites an older database when it opens it, `ldbsearch` included. So nothing but the server's
own image looks at it: inside, while the server runs; in a sandbox of its own on a copy, while it does not.
"""

import errno
import os
import secrets
from importlib.resources import files
from pathlib import Path

from galaxy.host.errors import CommandError, ServerError
from galaxy.host.journal import Entry
from galaxy.host.process import Completed, run
from galaxy.server import running
from galaxy.server.config import Server
from galaxy.server.container import delete, handle, run_once, sandbox, write_bundle
from galaxy.server.execute import exec_
from galaxy.server.provision import INIT
from galaxy.server.rootfs import rootfs_of
from galaxy.server.sandbox import Isolated
from galaxy.server.script import argv_of
from galaxy.server.snapshot import need_space
from galaxy.server.sound import damage_in

_SECONDS = 600.0
# What a copy needs for questions to the directory; sysvol may be large and is not asked.
_ASKED = ("etc", "state/private")


class ConfigurationError(ServerError):
    """Samba cannot read smb.conf: that says nothing of the databases, neither good nor bad."""


def consult(entry: Entry, server: Server, script: str, *words: str, in_place: bool = False) -> str:
    """Run a script of `inside/` on the server's database; returns what it printed. ServerError when it cannot.

    It is a ConfigurationError if only smb.conf is in the way.
    `in_place`: a stopped server's own files, which its image has just let go of, and of which there is a copy.
    """
    argv = (*script_argv(script), *words)
    if running.alive(server):
        done = exec_(server, argv, timeout=_SECONDS)
    else:
        done = run_inside(server, argv) if in_place else on_a_copy(entry, server, argv)
    if done.returncode != 0:
        require_configuration(server, done)
        raise ServerError(
            f"the database of {server.name} cannot be read: {_why(server, done)}",
            f"Look what is wrong with it: galaxy logs {server.name}",
        )
    return done.stdout


def script_argv(name: str) -> tuple[str, ...]:
    """What runs a script of `inside/`; its own words may follow."""
    return argv_of((files("galaxy.upgrade") / "inside" / f"{name}.py").read_text(encoding="utf-8"))


def _why(server: Server, done: Completed) -> str:
    """The database that is damaged, which Samba's own words hardly tell; otherwise its last ones."""
    if (damaged := damage_in(server.state)) is not None:
        file, flaw = damaged
        return f"{file}: {flaw}"
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    return lines[-1] if lines else str(done.returncode)


def require_configuration(server: Server, done: Completed) -> None:
    """ConfigurationError when a program failed because it cannot read smb.conf, which its own words hardly tell."""
    if "Unable to load default file" in done.output:
        file = server.etc / "smb.conf"
        raise ConfigurationError(
            f"Samba cannot read the smb.conf of {server.name}",
            f"Mend it: {file}. Each snapshot has that of its time: {server.snapshots}/ID/etc/smb.conf",
        )


def run_inside(server: Server, argv: tuple[str, ...], timeout: float = _SECONDS) -> Completed:
    """Run a program of the image on a stopped server's own files, with no network, to its end."""
    delete(server)  # a server that was stopped quickly leaves its ended container behind
    box = sandbox(server, rootfs_of(server), (INIT, *argv), Isolated())
    return run_once(server, write_bundle(server, box), "", timeout)


def on_a_copy(
    entry: Entry, server: Server, argv: tuple[str, ...], parts: tuple[str, ...] = _ASKED
) -> Completed:
    """Run a program of the server's image, which may be another than the one that runs, on a copy of some folders."""
    home = server.store.servers / server.name / f"asked-{secrets.token_hex(3)}"
    copy = Server(store=server.store, config=server.config, home=home)
    with entry.temporarily("tree", home), entry.temporarily("container", handle(copy)):
        need_space(
            server.folder, home, f"a look at {server.name}", parts
        )  # its clients may need what is left
        for part in parts:
            (home / part).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _copy(server, server.folder / part, home / part)
        for folder in (copy.state, copy.cache, copy.log, copy.etc_host, copy.bundle):
            folder.mkdir(exist_ok=True)
        return run_inside(copy, argv)


def _copy(server: Server, source: Path, target: Path) -> None:
    """Copy a folder; ServerError when a disk does not give back what it should have."""
    try:
        run(["cp", "--archive", "--reflink=auto", "--sparse=always", source, target], timeout=_SECONDS)
    except CommandError as error:
        if os.strerror(errno.EIO) not in error.output:
            raise
        raise ServerError(
            f"the database of {server.name} cannot be read: {error.output.strip().splitlines()[-1]}",
            "See what its disk has (dmesg). A good snapshot can still be put in its place: galaxy restore",
        ) from None
