"""dbcheck on a stopped copy, by the copy's own image."""

import re

from galaxy.host.errors import ServerError
from galaxy.host.files import write_atomic
from galaxy.server.config import Server
from galaxy.server.container import run_once, sandbox, write_bundle
from galaxy.server.provision import INIT
from galaxy.server.rootfs import rootfs_of
from galaxy.server.sandbox import Isolated

# A domain of 100,000 objects takes minutes.
_SECONDS = 3600.0
_SUMMARY = re.compile(r"Checked (\d+) objects \((\d+) errors?\)")


def dbcheck(copy: Server) -> int:
    """How many errors `samba-tool dbcheck --cross-ncs` finds; nothing is mended. ServerError when it breaks off."""
    argv = (INIT, "/usr/bin/samba-tool", "dbcheck", "--cross-ncs")
    box = sandbox(copy, rootfs_of(copy), argv, Isolated())
    done = run_once(copy, write_bundle(copy, box), "", _SECONDS)
    write_atomic(copy.log / "dbcheck.log", done.output)
    found = _SUMMARY.findall(done.output)
    if not found:
        raise ServerError(
            f"dbcheck of {copy.name}'s copy did not end: {done.output.strip().splitlines()[-1:]}",
            "Look at dbcheck.log beside the copy's logs.",
        )
    return sum(int(errors) for _, errors in found)
