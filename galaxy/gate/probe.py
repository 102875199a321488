"""A Galaxy server as a target of the checks: what `verify --server` writes for them."""

import json
from datetime import UTC, datetime
from pathlib import Path

from galaxy import __version__
from galaxy.gate.run import RunInfo
from galaxy.gate.suite import suite_digest
from galaxy.host.files import write_atomic
from galaxy.server.config import Server
from galaxy.server.configuration import takes_ntlm
from galaxy.server.execute import exec_argv
from galaxy.server.lifecycle import require_running
from galaxy.server.rootfs import image_of

# What verify calls the one place of a run without a matrix.
CELL = "target"


def write_target(
    server: Server, folder: Path, *, account: str = "Administrator", password_file: Path | None = None
) -> Path:
    """Write a target file for a running server; InputError when it is not running.

    The password stays where it is: the file names the server's own password file, unless another one is given for
    another administrator's account.
    """
    config = server.config
    body = {
        "address": config.address,
        "fqdn": config.fqdn,
        "realm": config.realm,
        "domain": config.domain,
        "base_dn": config.base_dn,
        "admin_user": account,
        "password_file": str(password_file or server.secrets / "admin-password"),
        "version": image_of(server).version,
        "shell": exec_argv(server, ()),
        "log_folder": str(server.log),
        "pid": require_running(server).pid,
        "ntlm": takes_ntlm(server),
    }
    file = folder / "target.toml"
    write_atomic(file, "".join(f"{key} = {json.dumps(value)}\n" for key, value in body.items()), 0o600)
    return file


def describe(folder: Path, what: str, selection: str) -> None:
    """Write the run.json of a run without a matrix: no image is judged by it."""
    RunInfo(
        started=datetime.now(UTC),
        galaxy=__version__,
        suite=suite_digest(),
        matrix=what,
        selection=selection,
        images=(),
        cells={CELL: ()},
    ).write(folder)
