"""What a client does with an open file besides reading and writing it."""

import struct
from collections.abc import Sequence

from smbprotocol.create_contexts import (
    CreateContextName,
    SMB2CreateContextRequest,
    SMB2CreateDurableHandleReconnectV2,
    SMB2CreateDurableHandleRequestV2,
)
from smbprotocol.file_info import FileInformationClass, InfoType
from smbprotocol.ioctl import CtlCode
from smbprotocol.open import (
    LockFlags,
    Open,
    SMB2LockElement,
    SMB2QueryInfoRequest,
    SMB2QueryInfoResponse,
    SMB2SetInfoRequest,
)

from verify.clients import smb

_SECURITY = 3
_FILE_SYSTEM = 2
_FS_ATTRIBUTES = 5
_FILE_ATTRIBUTE_ARCHIVE = 0x20
OWNER, GROUP, DACL = 1, 2, 4


def lock(file: Open, offset: int, length: int) -> str:
    """Lock a range for ourselves alone or fail at once; the status."""
    return _lock(
        file,
        offset,
        length,
        LockFlags.SMB2_LOCKFLAG_EXCLUSIVE_LOCK | LockFlags.SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    )


def unlock(file: Open, offset: int, length: int) -> str:
    """Give a range back; the status."""
    return _lock(file, offset, length, LockFlags.SMB2_LOCKFLAG_UNLOCK)


def _lock(file: Open, offset: int, length: int, flags: int) -> str:
    element = SMB2LockElement()
    element["offset"] = offset
    element["length"] = length
    element["flags"] = flags
    return smb.outcome(lambda: file.lock([element]))


def set_info(file: Open, kind: int, information: int, payload: bytes, extra: int = 0) -> None:
    """SMB2 SET_INFO with a packed payload."""
    request = SMB2SetInfoRequest()
    request["info_type"] = kind
    request["file_info_class"].value = information
    request["file_id"] = file.file_id
    request["additional_information"] = extra
    request["buffer"] = payload
    session = file.tree_connect.session
    sent = session.connection.send(request, session.session_id, file.tree_connect.tree_connect_id)
    session.connection.receive(sent, timeout=smb.TIMEOUT)


def query_info(file: Open, kind: int, information: int, extra: int = 0) -> bytes:
    """SMB2 QUERY_INFO; the packed answer."""
    request = SMB2QueryInfoRequest()
    request["info_type"] = kind
    request["file_info_class"].value = information
    request["output_buffer_length"] = 65536
    request["additional_information"] = extra
    request["file_id"] = file.file_id
    session = file.tree_connect.session
    sent = session.connection.send(request, session.session_id, file.tree_connect.tree_connect_id)
    answer = SMB2QueryInfoResponse()
    answer.unpack(session.connection.receive(sent, timeout=smb.TIMEOUT)["data"].get_value())
    return bytes(answer["buffer"].get_value())


def rename(file: Open, new: str) -> None:
    """Rename an open file; `new` is relative to the share."""
    name = new.encode("utf-16-le")
    payload = struct.pack("<B7xQI", 0, 0, len(name)) + name
    set_info(file, InfoType.SMB2_0_INFO_FILE, FileInformationClass.FILE_RENAME_INFORMATION, payload)


def set_times(file: Open, times: Sequence[int]) -> None:
    """Set creation, access, write and change time: 100 ns since 1601, 0 to leave one alone."""
    payload = struct.pack("<4QIi", *times, _FILE_ATTRIBUTE_ARCHIVE, 0)
    set_info(file, InfoType.SMB2_0_INFO_FILE, FileInformationClass.FILE_BASIC_INFORMATION, payload)


def times(file: Open) -> tuple[int, int, int, int]:
    """The four times as `set_times` takes them."""
    kind = FileInformationClass.FILE_BASIC_INFORMATION
    return struct.unpack_from("<4Q", query_info(file, InfoType.SMB2_0_INFO_FILE, kind))


def security_descriptor(file: Open, parts: int = OWNER | GROUP | DACL) -> bytes:
    """The NT security descriptor, self-relative (MS-DTYP 2.4.6)."""
    return query_info(file, _SECURITY, 0, parts)


def set_security_descriptor(file: Open, descriptor: bytes, parts: int = DACL) -> None:
    """Replace parts of the NT security descriptor."""
    set_info(file, _SECURITY, 0, descriptor, parts)


def file_system_attributes(file: Open) -> int:
    """The capabilities of the file system behind a file (MS-FSCC 2.5.1)."""
    return int(struct.unpack_from("<I", query_info(file, _FILE_SYSTEM, _FS_ATTRIBUTES))[0])


def copy_chunk(source: Open, sink: Open, length: int) -> int:
    """Copy on the server, without the data passing the client; the bytes that the server says it wrote."""
    share = source.tree_connect
    key = smb.control(share, CtlCode.FSCTL_SRV_REQUEST_RESUME_KEY, b"", file_id=source.file_id, room=32)[:24]
    payload = key + struct.pack("<II", 1, 0) + struct.pack("<QQII", 0, 0, length, 0)
    answer = smb.control(share, CtlCode.FSCTL_SRV_COPYCHUNK_WRITE, payload, file_id=sink.file_id, room=12)
    return int(struct.unpack("<III", answer)[2])


def durable_request(guid: object, milliseconds: int) -> SMB2CreateContextRequest:
    """The context that asks for a handle that outlives its connection."""
    data = SMB2CreateDurableHandleRequestV2()
    data["create_guid"] = guid
    data["timeout"] = milliseconds
    return _context(CreateContextName.SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, data)


def durable_reconnect(guid: object, file_id: bytes) -> SMB2CreateContextRequest:
    """The context that asks for such a handle back."""
    data = SMB2CreateDurableHandleReconnectV2()
    data["file_id"] = file_id
    data["create_guid"] = guid
    return _context(CreateContextName.SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, data)


def _context(name: bytes, data: object) -> SMB2CreateContextRequest:
    context = SMB2CreateContextRequest()
    context["buffer_name"] = name
    context["buffer_data"] = data
    return context
