"""SMB sessions as checks want them: one connection each, explicit dialect and keys, refusals by name.

smbprotocol does the protocol; what it can't say (a raw SMB1 negotiate, contexts it does not know) is in
verify/clients/smbwire.py.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.file_info import FileAttributes, FileInformationClass
from smbprotocol.header import NtStatus
from smbprotocol.ioctl import IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from verify.clients.ntstatus import SUCCESS, status_text
from verify.target import Target

Access = FilePipePrinterAccessMask
READ_WRITE = Access.GENERIC_READ | Access.GENERIC_WRITE | Access.DELETE
SHARE_ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
DELETE_ON_CLOSE = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_DELETE_ON_CLOSE
TIMEOUT = 20


def status_name(error: BaseException) -> str:
    """The NTSTATUS name in an SMB error, or the error's own words."""
    if isinstance(error, SMBResponseException):
        return status_text(error.status)
    return f"{type(error).__name__}: {error}"


def outcome(act: Callable[[], object]) -> str:
    """What the server says to an act: `STATUS_SUCCESS`, or the NTSTATUS name of its refusal."""
    try:
        act()
    except SMBException as error:
        return status_name(error)
    return SUCCESS


@contextmanager
def connected(
    target: Target,
    *,
    dialect: int | None = None,
    ciphers: Sequence[int] | None = None,
    signing: Sequence[int] | None = None,
    require_signing: bool = True,
    capabilities: int = 0,
) -> Iterator[Connection]:
    """A negotiated connection with a client GUID of its own: the server keeps a dialect for each GUID.

    `capabilities` are offered beside those that smbprotocol has.
    """
    connection = Connection(uuid4(), target.address, 445, require_signing=require_signing)
    connection.client_capabilities |= capabilities
    try:
        connection.connect(
            dialect, TIMEOUT, preferred_encryption_algos=ciphers, preferred_signing_algos=signing
        )
        yield connection
    finally:
        if connection.transport is not None:
            _part(connection)


def _part(connection: Connection) -> None:
    """Log off politely; a server that has dropped the connection needs no farewell."""
    try:
        connection.disconnect(timeout=TIMEOUT)
    except SMBException:
        connection.disconnect(close=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who logs on and how; `user` is a plain account name of the target's domain.

    Kerberos without a password takes the tickets of the credential cache. Without a `protocol` it is NTLM, or Kerberos
    where NTLM is switched off.
    """

    user: str
    password: str
    protocol: str = ""


def admin(target: Target, protocol: str = "") -> Login:
    """The target's administrator."""
    return Login(user=target.admin_user, password=target.password, protocol=protocol)


@contextmanager
def logged_on(
    target: Target, login: Login | None = None, *, encrypt: bool = False, **options: object
) -> Iterator[Session]:
    """A session (default: the administrator's) on its own connection, made with `options`."""
    with connected(target, **options) as connection:  # type: ignore[arg-type] # checked by connected itself
        yield log_on(connection, target, login, encrypt=encrypt)


def log_on(
    connection: Connection, target: Target, login: Login | None = None, *, encrypt: bool = False
) -> Session:
    """Set up a session; SMBResponseException when the server refuses."""
    who = login or admin(target)
    if who.protocol == "ntlm":
        target.require_ntlm()
    protocol = who.protocol or ("ntlm" if target.ntlm else "kerberos")
    kerberos = protocol == "kerberos"
    session = Session(
        connection,
        username=f"{who.user}@{target.realm}" if kerberos else f"{target.domain}\\{who.user}",
        password=who.password or None,
        require_encryption=encrypt,
        hostname_override=target.fqdn,
        auth_protocol=protocol,
    )
    session.connect()
    return session


def tree(session: Session, target: Target, share: str) -> TreeConnect:
    """A connection to a share; the negotiation is validated where the dialect has that."""
    connection = TreeConnect(session, rf"\\{target.fqdn}\{share}")
    connection.connect()
    return connection


def open_file(
    share: TreeConnect,
    name: str,
    *,
    access: int = READ_WRITE,
    sharing: int = SHARE_ALL,
    disposition: int = CreateDisposition.FILE_OPEN_IF,
    options: int = CreateOptions.FILE_NON_DIRECTORY_FILE,
    contexts: list[object] | None = None,
    oplock: int = 0,
) -> tuple[Open, list[object]]:
    """Open or make a file; returns it and the contexts that the server answered with."""
    file = Open(share, name)
    answers = file.create(
        ImpersonationLevel.Impersonation,
        access,
        FileAttributes.FILE_ATTRIBUTE_NORMAL,
        sharing,
        disposition,
        options,
        contexts,
        oplock,
    )
    return file, list(answers or [])


def open_folder(share: TreeConnect, name: str, *, access: int = READ_WRITE, make: bool = False) -> Open:
    """Open a folder, or make a new one."""
    folder = Open(share, name)
    folder.create(
        ImpersonationLevel.Impersonation,
        access,
        FileAttributes.FILE_ATTRIBUTE_DIRECTORY,
        SHARE_ALL,
        CreateDisposition.FILE_CREATE if make else CreateDisposition.FILE_OPEN,
        CreateOptions.FILE_DIRECTORY_FILE,
    )
    return folder


def names_in(folder: Open, pattern: str = "*") -> list[str]:
    """The names in an open folder without `.` and `..`, [] when the pattern fits none."""
    found: list[str] = []
    flags = 0
    while True:
        try:
            rows = folder.query_directory(pattern, FileInformationClass.FILE_NAMES_INFORMATION, flags)
        except SMBResponseException as error:
            if error.status in (NtStatus.STATUS_NO_MORE_FILES, NtStatus.STATUS_NO_SUCH_FILE):
                return [name for name in found if name not in (".", "..")]
            raise
        found += [row["file_name"].get_value().decode("utf-16-le") for row in rows]


def names_in_root(session: Session, target: Target, share: str) -> list[str]:
    """The names in the root of a share."""
    folder = open_folder(tree(session, target, share), "", access=Access.GENERIC_READ)
    try:
        return names_in(folder)
    finally:
        folder.close(get_attributes=False)


def remove(share: TreeConnect, name: str) -> None:
    """Delete a file or an empty folder; nothing to do when it is not there."""
    thing = Open(share, name)
    try:
        thing.create(
            ImpersonationLevel.Impersonation,
            Access.DELETE,
            0,
            SHARE_ALL,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_DELETE_ON_CLOSE,
        )
    except SMBResponseException as error:
        if error.status != NtStatus.STATUS_OBJECT_NAME_NOT_FOUND:
            raise
        return
    thing.close(get_attributes=False)


def remove_tree(share: TreeConnect, name: str) -> None:
    """Delete a folder of ours with the files and folders in it; nothing to do when it is not there."""
    try:
        folder = open_folder(share, name, access=Access.GENERIC_READ)
    except SMBResponseException as error:
        if error.status == NtStatus.STATUS_NOT_A_DIRECTORY:
            remove(share, name)
        elif error.status != NtStatus.STATUS_OBJECT_NAME_NOT_FOUND:
            raise
        return
    inside = names_in(folder)
    folder.close(get_attributes=False)
    for child in inside:
        remove_tree(share, rf"{name}\{child}")
    remove(share, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A folder of our own on a share, and the session that it was made with."""

    target: Target
    session: Session
    share: TreeConnect
    folder: str

    def path(self, name: str) -> str:
        """A name in the folder, relative to the share."""
        return rf"{self.folder}\{name}"


@contextmanager
def scratch(target: Target, *, share: str = "sysvol", **options: object) -> Iterator[Scratch]:
    """A new folder on a share, removed through a fresh connection, whatever became of the first."""
    name = f"galaxy-{secrets.token_hex(6)}"
    try:
        with logged_on(target, **options) as session:  # type: ignore[arg-type] # checked by logged_on itself
            connection = tree(session, target, share)
            open_folder(connection, name, make=True).close(get_attributes=False)
            yield Scratch(target=target, session=session, share=connection, folder=name)
    finally:
        with logged_on(target) as session:
            remove_tree(tree(session, target, share), name)


def control(
    share: TreeConnect, code: int, payload: bytes, *, file_id: bytes = b"\xff" * 16, room: int = 16384
) -> bytes:
    """An FSCTL on a file (default: on the share itself); the bytes that the server answers with."""
    request = SMB2IOCTLRequest()
    request["ctl_code"].value = code
    request["file_id"] = file_id
    request["max_output_response"] = room
    request["flags"] = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
    request["buffer"] = payload
    session = share.session
    sent = session.connection.send(request, session.session_id, share.tree_connect_id)
    answer = SMB2IOCTLResponse()
    answer.unpack(session.connection.receive(sent, timeout=TIMEOUT)["data"].get_value())
    return bytes(answer["buffer"].get_value())
