"""What the administrator's smb.conf says, without Samba: enough to see that something is said, and who it is for."""

import re

from galaxy.host.errors import ServerError
from galaxy.server.config import Server

_SETTING = re.compile(r"^\s*([^#;=\n]+?)\s*=[ \t]*(.*?)\s*$", re.MULTILINE)
_INCLUDES = ("include", "configfile")
# What only Samba can tell the meaning of: macros, quotes, lines that go on.
_UNCLEAR = re.compile(r'[%"\\]')


def smb_settings(server: Server) -> dict[str, str] | None:
    """The parameters by `plain` name, the last of each; None when smb.conf includes other files, which may say more."""
    given = {plain(name): value for name, value in _SETTING.findall(_read(server))}
    return None if any(name in given for name in _INCLUDES) else given


def smb_conf_text(server: Server) -> str:
    """The file as it is, whatever its bytes; '' when there is none."""
    try:
        return _read(server)
    except FileNotFoundError:
        return ""


def _read(server: Server) -> str:
    return (server.etc / "smb.conf").read_text(encoding="utf-8", errors="replace")


def plain(name: str) -> str:
    """A parameter's name as Samba compares it: without spaces, in lower case (lib/param, strwicmp)."""
    return re.sub(r"\s", "", name).lower()


def require_own_names(server: Server, trouble: str) -> None:
    """ServerError, which begins with `trouble`, when smb.conf is for another domain or another DC than the server's.

    Samba would start, and answer for a domain that its databases don't have.
    """
    try:
        config, given = server.config, smb_settings(server)
    except OSError as error:
        raise ServerError(
            f"{trouble}: its smb.conf cannot be read: {error.strerror}",
            f"Put it back: {server.etc / 'smb.conf'}",
        ) from None
    if given is None:
        return
    if "realm" not in given:
        raise ServerError(
            f"{trouble}: its smb.conf names no realm", f"Put it back: {server.etc / 'smb.conf'}"
        )
    wanted = {"realm": config.realm, "workgroup": config.domain, "netbios name": config.hostname}
    for name, own in wanted.items():
        said = given.get(plain(name), own)
        if said.upper() != own.upper() and not _UNCLEAR.search(said):
            raise ServerError(
                f"{trouble}: its smb.conf says `{name} = {said}`, and it is {own.upper()}",
                f"Mend it: {server.etc / 'smb.conf'}; a domain controller cannot be renamed there.",
            )
