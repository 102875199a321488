"""Running programs inside a server that runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from galaxy.host.errors import CommandTimeoutError, InputError
from galaxy.host.process import Completed, find_tool, replace_self, run
from galaxy.server.config import Server
from galaxy.server.confinement import granted
from galaxy.server.lifecycle import require_running
from galaxy.server.sandbox import INSIDE_ENV


def exec_argv(server: Server, argv: Sequence[str]) -> list[str]:
    """What to run on the host so that `argv` runs inside: 10 ms, where the OCI runtime's exec takes 140.

    It gets the server's namespaces, its capabilities (and sys_chroot, which entering needs) and no new privileges.
    InputError when the server does not run.
    """
    process = require_running(server)
    kept = [name.removeprefix("CAP_").lower() for name in (*granted(), "CAP_SYS_CHROOT")]
    bounding = ",".join(["-all", *(f"+{name}" for name in kept)])
    confine = [find_tool("setpriv", "util-linux"), "--no-new-privs", f"--bounding-set={bounding}"]
    enter = [find_tool("nsenter", "util-linux"), f"--target={process.pid}"]
    return [*confine, *enter, "--mount", "--pid", "--uts", "--ipc", "--net", "--", *argv]


def exec_(
    server: Server,
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout: float = 60.0,
    check: bool = False,
) -> Completed:
    """Run a program inside to its end; returns its streams and exit code. CommandTimeoutError names that program."""
    entering = exec_argv(server, argv)
    try:
        return run(entering, stdin=stdin, timeout=timeout, env=inside_environment(), check=check)
    except CommandTimeoutError as error:
        raise CommandTimeoutError(tuple(argv), timeout, error.output) from None


def become(server: Server, argv: Sequence[str]) -> None:
    """Become a program inside the server: terminal, signals and exit code are its own. Does not return.

    InputError when the server does not run or has no such program.
    """
    entering = exec_argv(server, argv)
    _require_program(server, argv[0])
    replace_self(entering, env=inside_environment())


def _require_program(server: Server, name: str) -> None:
    root = Path(f"/proc/{require_running(server).pid}/root")
    folders = [""] if "/" in name else inside_environment()["PATH"].split(":")
    # What a link points to is not asked: an absolute one would lead to the host's files.
    if not name or not any(
        os.path.lexists(root / folder.lstrip("/") / name.lstrip("/")) for folder in folders
    ):
        raise InputError(
            f"{server.name} has no program {name}",
            f"Inside are Samba's programs, python3 and sh: galaxy exec {server.name} sh -c 'echo /usr/*bin/*'",
        )


def inside_environment() -> dict[str, str]:
    """The environment that the server's own processes have, and the terminal's kind."""
    inside = dict(item.split("=", 1) for item in INSIDE_ENV)
    return {**inside, "TERM": os.environ.get("TERM", "dumb")}
