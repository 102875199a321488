"""The OCI runtime: thin verbs over runc (or crun), and how a container is undone."""

import json
import platform
import re
import resource
import shutil
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired  # noqa: TID251 - what Popen.wait raises

from galaxy.host.errors import CommandError, CommandTimeoutError, HostError, ServerError
from galaxy.host.files import write_atomic
from galaxy.host.process import BASE_ENV, Completed, background, run
from galaxy.host.undo import undoes
from galaxy.server.config import Server
from galaxy.server.confinement import granted
from galaxy.server.inside import host_files
from galaxy.server.sandbox import Isolated, Joins, Sandbox, SharesHost, oci_config

_LAUNCH_SECONDS = 30.0
# In cgroup version 1 a server's sixty processes together would weigh as much as one process of the host's root group,
# and starve on a busy host: they weigh as much as sixteen. In version 2 all others are in groups too.
_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")
_SHARES = 16 * 1024


def runtime() -> str:
    """The OCI runtime to use: runc, or crun where only that is installed and can work.

    crun refuses hybrid cgroups (version 1 with a version 2 tree beside it).
    """
    if found := shutil.which("runc", path=BASE_ENV["PATH"]):
        return found
    found = shutil.which("crun", path=BASE_ENV["PATH"])
    if found and not Path("/sys/fs/cgroup/unified").exists():
        return found
    raise HostError("there is no OCI runtime on this host", "Install it: apt-get install runc")


def sandbox(
    server: Server, rootfs: Path, args: tuple[str, ...], network: SharesHost | Isolated | Joins
) -> Sandbox:
    """The sandbox of a server on this host."""
    return Sandbox(
        rootfs=rootfs,
        folder=server.folder,
        hostname=server.config.hostname,
        args=args,
        network=network,
        capabilities=granted(),
        cgroup=f"/{server.container}",
        cpu_shares=None if _UNIFIED.exists() else _SHARES,
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        machine=platform.machine(),
    )


def write_bundle(server: Server, box: Sandbox, asks: str | None = None) -> Path:
    """Write the bundle and the files of the server's /etc; returns the bundle's folder.

    `asks` is the DC that is asked for names and tickets when the server cannot ask itself.
    """
    for name, text in host_files(server.config, asks).items():
        server.etc_host.mkdir(exist_ok=True, mode=0o755)
        (server.etc_host / name).write_text(text, encoding="utf-8")
    write_atomic(server.bundle / "config.json", json.dumps(oci_config(box), indent=1))
    return server.bundle


def launch(server: Server, bundle: Path) -> int:
    """Start the bundle and leave it running; returns the process id of its first process, as the host sees it."""
    pid_file = server.bundle / "pid"
    # The runtime writes it under the second name, which must be free: a full disk leaves an empty one.
    for old in (pid_file, pid_file.with_name(".pid")):
        old.unlink(missing_ok=True)
    console = server.log / "console.log"
    argv = [*_base(server), "run", "--detach", "--pid-file", pid_file, "--bundle", bundle, server.container]
    offset = console.stat().st_size if console.exists() else 0
    with background(argv, log=console) as process:
        try:
            code = process.wait(timeout=_LAUNCH_SECONDS)
        except TimeoutExpired:
            raise ServerError(
                f"{server.name} could not be started: {argv[0]} did not come back within {_LAUNCH_SECONDS:g} s",
                "Look what keeps the host busy, and whether it can run servers: galaxy doctor",
            ) from None
    if code != 0:
        said = runtime_words(console.read_bytes()[offset:].decode(errors="replace"))
        raise ServerError(
            f"{server.name} could not be started: {said or f'{argv[0]} ended with {code}'}",
            "Look whether this host can run servers: galaxy doctor",
        )
    return int(pid_file.read_text(encoding="utf-8"))


def runtime_words(output: str) -> str:
    """What the runtime says of why it could not do it, without its log's dressing; '' when it says nothing."""
    lines = output.strip().splitlines()
    found = re.search(r'level=(?:error|fatal) msg="(.*)"$', lines[-1]) if lines else None
    return found[1].replace('\\"', '"') if found else (lines[-1] if lines else "")


def run_once(server: Server, bundle: Path, stdin: str, timeout: float) -> Completed:
    """Run the bundle to its end with `stdin` as its standard input; the container is gone afterwards.

    CommandTimeoutError when it does not end in time: then it is ended.
    """
    argv = [*_base(server), "run", "--bundle", bundle, server.container]
    try:
        return run(argv, stdin=stdin, timeout=timeout, check=False)
    except CommandTimeoutError:
        delete(server)  # only the runtime has been killed
        raise
    finally:
        _tidy(server.runtime_root)


def handle(server: Server) -> str:
    """The journal's target for the action kind `container`."""
    return f"{server.runtime_root}:{server.container}"


def delete(server: Server) -> None:
    """End whatever runs in the server's container and forget it; nothing happens when there is none."""
    _delete(handle(server))


def forget(server: Server) -> None:
    """Make the runtime forget a container whose processes have all ended, so that one of the same name can start.

    `delete` without the runtime's own 25 ms, which clients would wait for: the next container takes over the control
    groups, which are named after it.
    """
    shutil.rmtree(server.runtime_root / server.container, ignore_errors=True)


@undoes("container")
def _delete(target: str) -> None:
    root, _, name = target.rpartition(":")
    if (Path(root) / name).exists():
        try:
            run([runtime(), "--root", root, "delete", "--force", name])
        except CommandError:
            # Killed between making its folder and writing its state, the runtime calls that a container it can't read.
            if (Path(root) / name / "state.json").exists():
                raise
            shutil.rmtree(Path(root) / name, ignore_errors=True)
    _tidy(Path(root))


def _tidy(root: Path) -> None:
    """Remove a store's runtime folder, unless a server of the store has something there."""
    with suppress(OSError):
        root.rmdir()


def _base(server: Server) -> list[str | Path]:
    for folder in (server.runtime_root.parent, server.runtime_root):  # the locks of the host are in the first
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    return [runtime(), "--root", server.runtime_root]
