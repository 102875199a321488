"""Which files of a server people have changed since a snapshot: all of its folders but what is Samba's own."""

import filecmp
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from galaxy.server.mapped import FlawError
from galaxy.server.tdbfile import entries

_NTACL = "security.NTACL"
_PARTS = ("etc", "state", "cache")
_LARGE = 1 << 20
# By path in the server's folder. smb.conf is compared line by line; what databases hold, by the directory's own numbers
# (changes.py) or below.
_SAMBAS_OWN = re.compile(
    r"etc/smb\.conf"
    r"|(state|state/private|cache)/[^/]*\.(tdb|ldb)(\.(bak|corrupt))?"
    r"|state/(private/)?[^/]*\.ldb-lock"
    r"|state/private/(sam\.ldb\.d|msg\.sock|msg\.lock|smbd\.tmp|ldap_priv|dns)"
    r"|state/private/((krb5|kdc)\.conf|named\..*)"
    r"|state/private/([^/]*\.keytab|dns_update_cache|dns_update_list|spn_update_list|encrypted_secrets\.key)"
    r"|state/(bind-dns|ntp_signd|winbindd_privileged|printing|smb_krb5|msg\.lock|msg\.sock)"
    r"|cache/(browse\.dat|gpo_cache|printing|smb_krb5)"
)
KEYTAB = re.compile(r"state/private/[^/]*\.keytab")
# What people write into databases that no change number counts: which records, and what they are to people.
PEOPLES_DATABASES: Mapping[str, tuple[Callable[[bytes], bool], str]] = {
    "state/registry.tdb": (
        lambda key: b"\\SAMBA\\SMBCONF\\" in key.upper(),
        "shares and settings in the registry (net conf)",
    ),
    "state/share_info.tdb": (lambda key: key.startswith(b"SECDESC/"), "permissions of shares"),
    "state/private/privilege.ldb": (lambda key: key.startswith(b"DN=SID="), "privileges (net rpc rights)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file that is not as it was; `what` is created, changed, deleted or permissions."""

    path: str
    what: str


def file_changes(before: Path, now: Path, touched: int = 0) -> Iterator[FileChange]:
    """What differs between the folders of two states of a server; both are only read.

    Files that nobody has `touched` since that time (ns since 1970) are taken to be as they were compared then.
    """
    for part in _PARTS:
        yield from _changes(before, now, part, touched)
    for path, (wanted, words) in PEOPLES_DATABASES.items():
        if _records(before / path, wanted) != _records(now / path, wanted):
            yield FileChange(path=f"{path}: {words}", what="changed")


def is_sambas_own(path: str) -> bool:
    """Whether a path in a server's folder is what Samba writes for itself."""
    return _SAMBAS_OWN.fullmatch(path) is not None


def is_readable(database: Path) -> bool:
    """Whether a TDB's records can all be read."""
    return _records(database, lambda _: True) is not None


def _changes(before: Path, now: Path, part: str, touched: int) -> Iterator[FileChange]:
    old, new = _files(before, part), _files(now, part)
    for path in sorted(old | new):
        if path not in new:
            yield FileChange(path=path, what="deleted")
        elif path not in old:
            yield FileChange(path=path, what="created")
        elif what := _difference(before / path, now / path, touched):
            yield FileChange(path=path, what=what)


def _difference(before: Path, now: Path, touched: int) -> str:
    """How a file of both states differs; '' when it does not, or nobody has touched it."""
    try:
        if now.lstat().st_ctime_ns < touched:
            return ""
        if not _alike(before, now):
            return "changed"
    except FileNotFoundError:
        return "deleted"  # just now: the server may be running
    return "permissions" if _acl(before) != _acl(now) else ""


def _files(root: Path, part: str) -> set[str]:
    """Everything of people's below a folder; folders too, which have permissions and may be empty, but no sockets."""
    found = set()
    for place, folders, names in os.walk(root / part):
        at = Path(place).relative_to(root)
        folders[:] = [name for name in folders if not is_sambas_own(str(at / name))]
        found |= {str(at / name) for name in folders}
        found |= {
            str(at / name)
            for name in names
            if not is_sambas_own(str(at / name)) and not is_socket(Path(place, name))
        }
    return found


def is_socket(path: Path) -> bool:
    """Whether it is a socket, or has gone."""
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return True  # it has gone just now, which only what runs does


def _alike(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    kinds = {stat.S_IFMT(path.lstat().st_mode) for path in (one, other)}
    if kinds != {stat.S_IFREG}:
        return len(kinds) == 1  # folders, pipes, devices
    # Size and time may be made equal by who changes a file; only what is large is not worth reading twice.
    return filecmp.cmp(one, other, shallow=other.stat().st_size > _LARGE)


def _acl(path: Path) -> bytes:
    """A file's Windows ACL as Samba keeps it (vfs_acl_xattr); empty when it has none."""
    try:
        return os.getxattr(path, _NTACL, follow_symlinks=False)
    except OSError:
        return b""


def _records(file: Path, wanted: Callable[[bytes], bool]) -> dict[bytes, bytes] | None:
    """The records of a TDB that people make; None when it cannot be read, which then differs from one that can."""
    if not file.exists():
        return {}
    try:
        return {key: value for key, value in entries(file) if wanted(key)}
    except FlawError:
        return None
