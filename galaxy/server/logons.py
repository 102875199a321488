"""Whether a DC that answers at SMB lets anybody log on there yet.

smbd gives each session the Unix IDs of the user's groups, which winbindd knows. Samba starts both at once, and winbindd
takes up to 0.3 s more; until it listens, each logon ends with STATUS_INTERNAL_ERROR (source4/libcli/wbclient).
A logon that asks would be in the administrator's audit logs, so it is winbindd's socket that is asked.
"""

import socket

from galaxy.server.questions import NoAnswerError
from galaxy.server.running import Running

# Galaxy's recipes and Debian's packages have it there. libwbclient knows no other, whatever smb.conf says.
_PIPE = "run/samba/winbindd/pipe"
_PATIENCE = 2.0


def require_logons(process: Running) -> None:
    """NoAnswerError unless winbindd takes requests in the server of which `process` is the first."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(f"/proc/{process.pid}/root/{_PIPE}")
        except OSError as error:
            raise NoAnswerError(f"nobody can log on: winbindd is not there ({error.strerror})") from error
