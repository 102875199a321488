"""What Samba reads in the smb.conf that is there now, if it can: a server that runs has read its own long ago."""

from galaxy.host.errors import ServerError
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.smbconf import plain, require_own_names


def require_smb_conf(server: Server, trouble: str) -> None:
    """ServerError, which begins with `trouble`, when the next start of a running server would fail by its smb.conf."""
    require_own_names(server, trouble)
    # Without its logic checks: it ends with 1 for what Samba starts with all the same.
    done = exec_(server, ("testparm", "-s", "--skip-logic-checks"))
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ServerError(
            f"{trouble}: Samba cannot read its smb.conf any more: "
            f"{lines[-1] if lines else f'testparm ends with {done.returncode}'}",
            f"Mend it: {server.etc / 'smb.conf'}; galaxy exec {server.name} testparm -s says more",
        )


def takes_ntlm(server: Server) -> bool:
    """Whether smb.conf, with all that it includes, leaves NTLM open; a version's own default is not asked for."""
    said = exec_(server, ("testparm", "-s")).stdout
    return not says_no_ntlm(said)


def says_no_ntlm(printed: str) -> bool:
    """Whether that is in what testparm prints, which is what differs from its version's defaults."""
    return any(plain(line) == "ntlmauth=disabled" for line in printed.splitlines())
