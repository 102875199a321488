"""Rights, referrals and handles that a domain controller's shares must keep."""

import struct
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from smbprotocol.connection import Connection
from smbprotocol.ioctl import CtlCode
from smbprotocol.open import CreateDisposition, Open, RequestedOplockLevel

from verify.bench import Bench
from verify.check import check
from verify.clients import smb, smbfile
from verify.clients.descriptor import Ace, dacl_of, descriptor, sid_text
from verify.clients.ntstatus import SUCCESS
from verify.clients.waiting import within
from verify.target import Target

READ_ACL = smb.Access.GENERIC_READ | smb.Access.READ_CONTROL | smb.Access.WRITE_DAC | smb.Access.DELETE
FULL_CONTROL, READ_AND_RUN = 0x1F01FF, 0x1200A9
DURABLE_MS = 10_000


@check("smb.ntacl-round-trip", loses="rights set from Windows would not be kept")
def test_ntacl_round_trip(target: Target, bench: Bench) -> None:
    sid = sid_text(bench.admin.read(bench.group(), ["objectSid"]).raw("objectSid"))
    wanted = [Ace(sid="S-1-5-32-544", mask=FULL_CONTROL), Ace(sid=sid, mask=READ_AND_RUN)]
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("guarded"), access=READ_ACL)
        smbfile.set_security_descriptor(file, descriptor(wanted))
        file.close(get_attributes=False)
        file, _ = smb.open_file(place.share, place.path("guarded"), access=READ_ACL)
        got = dacl_of(smbfile.security_descriptor(file))
        file.close(get_attributes=False)
    assert sorted(got) == sorted(wanted), f"expected the rights {wanted}, got {got}"


@check("smb.ntacl-enforced", loses="rights would be shown and not kept to")
def test_ntacl_enforced(target: Target, bench: Bench) -> None:
    user = bench.account()
    login = smb.Login(user=user.name, password=user.password)
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("closed"), access=READ_ACL)
        smbfile.set_security_descriptor(file, descriptor([Ace(sid="S-1-5-32-544", mask=FULL_CONTROL)]))
        smb.open_file(place.share, place.path("open"))[0].close(get_attributes=False)
        said = {name: _reading(target, login, place.path(name)) for name in ("closed", "open")}
        file.close(get_attributes=False)
    assert said["closed"] == "STATUS_ACCESS_DENIED", f"expected STATUS_ACCESS_DENIED, got {said['closed']}"
    assert said["open"] == SUCCESS, f"expected a file without such rights to be readable, got {said['open']}"


def _reading(target: Target, login: smb.Login, path: str) -> str:
    """What the server says to a user who opens a file of sysvol for reading."""
    with smb.logged_on(target, login) as session:
        share = smb.tree(session, target, "sysvol")

        def read() -> None:
            file, _ = smb.open_file(
                share, path, access=smb.Access.GENERIC_READ, disposition=CreateDisposition.FILE_OPEN
            )
            file.close(get_attributes=False)

        return smb.outcome(read)


def referral(target: Target, path: str, level: int) -> tuple[str, list[str]]:
    """Ask for a DFS referral (MS-DFSC 2.2.2): the status, and the network addresses or names that came."""
    request = struct.pack("<H", level) + (path + "\0").encode("utf-16-le")
    answers: list[bytes] = []
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "IPC$")
        said = smb.outcome(
            lambda: answers.append(smb.control(share, CtlCode.FSCTL_DFS_GET_REFERRALS, request))
        )
    return said, _names(answers[0]) if answers else []


def _names(answer: bytes) -> list[str]:
    """MS-DFSC 2.2.5.3: version 3 and 4 entries, those of a name list by their special name."""
    found, position = [], 8
    for _ in range(struct.unpack_from("<H", answer, 2)[0]):
        _version, size, _kind, flags = struct.unpack_from("<HHHH", answer, position)
        name_list = flags & 2
        where = struct.unpack_from("<H", answer, position + (12 if name_list else 16))[0]
        end = answer.find(b"\0\0\0", position + where)
        text = answer[position + where : len(answer) if end < 0 else end + 1]
        found.append(text.decode("utf-16-le", errors="replace").rstrip("\0"))
        position += size
    return found


@check("smb.dfs-domain-list", loses="clients could not find out which domains there are to ask for policies")
def test_dfs_domain_list(target: Target) -> None:
    said, names = referral(target, "", 3)
    expected = {rf"\{target.domain}".lower(), rf"\{target.dns_domain}"}
    assert said == SUCCESS, f"expected a list of domains, got {said}"
    assert expected <= {name.lower() for name in names}, f"expected {sorted(expected)}, got {names}"


@check("smb.dfs-sysvol", loses=r"\\domain\sysvol would lead nowhere: no policies, no logon scripts")
def test_dfs_sysvol(target: Target) -> None:
    for share in ("sysvol", "netlogon"):
        for level in (3, 4):
            said, names = referral(target, rf"\{target.dns_domain}\{share}", level)
            expected = rf"\{target.fqdn}\{share}"
            assert said == SUCCESS, f"{share}, level {level}: expected a referral, got {said}"
            assert expected in [name.lower() for name in names], (
                f"{share}, level {level}: expected {expected}, got {names}"
            )


@check(
    "smb.dfs-unknown-refused", loses="clients would be sent to servers that know nothing of what they want"
)
def test_dfs_unknown_refused(target: Target) -> None:
    for path in (r"\galaxy-no-such-domain.example\sysvol", rf"\{target.dns_domain}\galaxy-no-such-share"):
        said, names = referral(target, path, 3)
        assert said in {"STATUS_INVALID_PARAMETER", "STATUS_NOT_FOUND"}, (
            f"{path}: expected none, got {said} {names}"
        )


@check(
    "smb.previous-versions",
    loses="the Previous Versions tab would hang or take the session down",
    tier="full",
)
def test_previous_versions(target: Target) -> None:
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        folder = smb.open_folder(share, "", access=smb.Access.GENERIC_READ)
        answers: list[bytes] = []
        said = smb.outcome(
            lambda: answers.append(
                smb.control(
                    share, CtlCode.FSCTL_SRV_ENUMERATE_SNAPSHOTS, b"", file_id=folder.file_id, room=4096
                )
            )
        )
        still = smb.names_in(folder)
        folder.close(get_attributes=False)
    # Without a snapshot module the request is unknown; with one the answer starts with three counts.
    assert said in {SUCCESS, "STATUS_INVALID_DEVICE_REQUEST"}, f"expected a list or a plain no, got {said}"
    assert said != SUCCESS or len(answers[0]) >= 12, f"expected a list of versions, got {answers}"
    assert target.dns_domain in still, f"expected a session that goes on, got {still}"


@check("smb.durable-handle", loses="a short network break would cost clients their open files", tier="full")
def test_durable_handle(target: Target) -> None:
    client, guid = uuid4(), uuid4()
    with smb.scratch(target) as place:
        path = place.path("durable")
        first = _connection(target, client)
        share = smb.tree(smb.log_on(first, target), target, "sysvol")
        file, answers = _batch(share, path, smbfile.durable_request(guid, DURABLE_MS))
        assert answers, "expected a durable handle, got a plain one"
        file.write(b"before the break")
        first.transport.close()
        second = _connection(target, client)
        share = smb.tree(smb.log_on(second, target), target, "sysvol")
        again = _reopened(lambda: _batch(share, path, smbfile.durable_reconnect(guid, file.file_id))[0])
        content = again.read(0, 100)
        again.close(get_attributes=False)
        second.disconnect()
    assert content == b"before the break", f"expected the file as it was, got {content!r}"


def _connection(target: Target, client: object) -> Connection:
    connection = Connection(client, target.address, 445)
    connection.connect(timeout=smb.TIMEOUT)
    return connection


def _batch(share: Any, path: str, context: object) -> tuple[Open, list[object]]:
    return smb.open_file(share, path, contexts=[context], oplock=RequestedOplockLevel.SMB2_OPLOCK_LEVEL_BATCH)


def _reopened(reopen: Callable[[], Open]) -> Open:
    """The handle, once the server has noticed that the old connection is gone."""
    found: list[Open] = []
    said: list[str] = []

    def came_back() -> bool:
        said.append(smb.outcome(lambda: found.append(reopen())))
        return bool(found)

    assert within(3, came_back), f"expected the handle back within 3 s, got {said[-1]}"
    return found[0]
