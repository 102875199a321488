"""Whether Samba can read the smb.conf that is there now: a server that runs has read its own long ago."""

from galaxy.host.errors import ServerError
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.smbconf import require_own_names


def require_smb_conf(server: Server, trouble: str) -> None:
    """ServerError, which begins with `trouble`, when the next start of a running server would fail by its smb.conf."""
    require_own_names(server, trouble)
    done = exec_(server, ("testparm", "-s"))
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ServerError(
            f"{trouble}: Samba cannot read its smb.conf any more: "
            f"{lines[-1] if lines else f'testparm ends with {done.returncode}'}",
            f"Mend it: {server.etc / 'smb.conf'}; galaxy exec {server.name} testparm -s says more",
        )
