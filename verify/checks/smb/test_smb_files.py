"""What programs on clients rely on when they keep files on a share."""

import os
import time

from smbprotocol.change_notify import CompletionFilter, FileSystemWatcher
from smbprotocol.open import CreateDisposition

from verify.check import check
from verify.clients import smb, smbfile
from verify.clients.ntstatus import SUCCESS
from verify.clients.waiting import within
from verify.target import Target

NAMED_STREAMS = 0x40000
FILE_ADDED = 1
# 2019-04-17 and three moments after it, 100 ns since 1601.
# An odd second and all seven digits of its fraction: what keeps less would change them.
MOMENTS = tuple(132_000_000_012_345_671 + n * 10**9 for n in range(4))


def listing(place: smb.Scratch) -> list[str]:
    """The names in the scratch folder."""
    folder = smb.open_folder(place.share, place.folder, access=smb.Access.GENERIC_READ)
    found = smb.names_in(folder)
    folder.close(get_attributes=False)
    return found


@check(
    "smb.file-round-trip", loses="administrators could not put policies and scripts into sysvol", tier="smoke"
)
def test_file_round_trip(target: Target) -> None:
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("Grüße.txt"))
        file.write(b"kept")
        smbfile.rename(file, place.path("greetings.txt"))
        file.close(get_attributes=False)
        assert listing(place) == ["greetings.txt"], f"expected the new name alone, got {listing(place)}"
        file, _ = smb.open_file(
            place.share, place.path("greetings.txt"), disposition=CreateDisposition.FILE_OPEN
        )
        assert file.read(0, 10) == b"kept", "expected what was written"
        file.close(get_attributes=False)
        smb.remove(place.share, place.path("greetings.txt"))
        assert listing(place) == [], f"expected an empty folder after the deletion, got {listing(place)}"


@check(
    "smb.case-insensitive-names", loses="Windows clients would not find files they spell with other capitals"
)
def test_case_insensitive_names(target: Target) -> None:
    with smb.scratch(target) as place:
        smb.open_file(place.share, place.path("GPT.ini"))[0].close(get_attributes=False)
        again = smb.outcome(
            lambda: smb.open_file(
                place.share, place.path("gpt.INI"), disposition=CreateDisposition.FILE_OPEN
            )[0].close(get_attributes=False)
        )
        assert again == SUCCESS, f"expected GPT.ini to be found as gpt.INI, got {again}"
        assert listing(place) == ["GPT.ini"], f"expected its own spelling to be kept, got {listing(place)}"


@check("smb.share-modes", loses="two programs could overwrite each other's files")
def test_share_modes(target: Target) -> None:
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("mine"), sharing=0)
        said = smb.outcome(lambda: smb.open_file(place.share, place.path("mine")))
        assert said == "STATUS_SHARING_VIOLATION", f"expected STATUS_SHARING_VIOLATION, got {said}"
        file.close(get_attributes=False)
        said = smb.outcome(
            lambda: smb.open_file(place.share, place.path("mine"))[0].close(get_attributes=False)
        )
        assert said == SUCCESS, f"expected the file to be free after the close, got {said}"


@check("smb.byte-range-locks", loses="databases and office programs on a share could corrupt their files")
def test_byte_range_locks(target: Target) -> None:
    with smb.scratch(target) as place:
        one, _ = smb.open_file(place.share, place.path("shared"))
        two, _ = smb.open_file(place.share, place.path("shared"))
        one.write(b"0123456789")
        steps = {
            "first lock": (smbfile.lock(one, 0, 5), SUCCESS),
            "overlapping lock": (smbfile.lock(two, 3, 3), "STATUS_LOCK_NOT_GRANTED"),
            "lock beside it": (smbfile.lock(two, 5, 3), SUCCESS),
            "write into the lock": (smb.outcome(lambda: two.write(b"x", 0)), "STATUS_FILE_LOCK_CONFLICT"),
            "read of the lock": (smb.outcome(lambda: two.read(0, 3)), "STATUS_FILE_LOCK_CONFLICT"),
            "unlock": (smbfile.unlock(one, 0, 5), SUCCESS),
            "write after it": (smb.outcome(lambda: two.write(b"x", 0)), SUCCESS),
        }
        one.close(get_attributes=False)
        two.close(get_attributes=False)
    for step, (got, expected) in steps.items():
        assert got == expected, f"{step}: expected {expected}, got {got}"


@check("smb.notify", loses="folders on clients would not show what others change")
def test_notify(target: Target) -> None:
    made: list[str] = []
    with smb.scratch(target) as place:
        folder = smb.open_folder(place.share, place.folder, access=smb.Access.GENERIC_READ)
        watcher = FileSystemWatcher(folder)
        watcher.start(CompletionFilter.FILE_NOTIFY_CHANGE_FILE_NAME)

        def told() -> bool:
            # Samba passes the wish on to its notify daemon, so that a change right behind it may come too early.
            made.append(f"new{len(made)}")
            smb.open_file(place.share, place.path(made[-1]))[0].close(get_attributes=False)
            return bool(watcher.response_event.wait(0.2))

        in_time = within(5, told)
        changes = [(row["action"].get_value(), row["file_name"].get_value()) for row in watcher.result or ()]
        folder.close(get_attributes=False)
    assert in_time, f"expected to be told about new files within 5 s, got nothing after {len(made)}"
    assert changes, "expected the change's details, got none"
    assert all(kind == FILE_ADDED and name in made for kind, name in changes), (
        f"expected new files of {made}, got {changes}"
    )


@check("smb.copychunk", loses="copies on the server would travel to the client and back")
def test_copychunk(target: Target) -> None:
    data = os.urandom(300_000)
    with smb.scratch(target) as place:
        source, _ = smb.open_file(place.share, place.path("source"))
        sink, _ = smb.open_file(place.share, place.path("sink"))
        source.write(data)
        written = smbfile.copy_chunk(source, sink, len(data))
        copied = sink.read(0, len(data))
        source.close(get_attributes=False)
        sink.close(get_attributes=False)
    assert written == len(data), f"expected {len(data)} bytes written, got {written}"
    assert copied == data, "expected an identical copy"


@check("smb.large-reads", loses="large files would be damaged, or slow for want of multi-credit requests")
def test_large_reads(target: Target) -> None:
    size, block = 4 << 20, 1 << 20
    data = os.urandom(size)
    with smb.scratch(target) as place:
        connection = place.session.connection
        assert connection.max_read_size >= block, f"expected reads of 1 MiB, got {connection.max_read_size}"
        assert connection.supports_multi_credit, "expected multi-credit operations"
        file, _ = smb.open_file(place.share, place.path("large"))
        for offset in range(0, size, block):
            file.write(data[offset : offset + block], offset)
        back = b"".join(file.read(offset, block) for offset in range(0, size, block))
        file.close(get_attributes=False)
    assert back == data, "expected 4 MiB back as they were written"


@check("smb.timestamps", loses="copies would lose their dates, and backups would take everything again")
def test_timestamps(target: Target) -> None:
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("dated"))
        smbfile.set_times(file, MOMENTS)
        file.close(get_attributes=False)
        file, _ = smb.open_file(place.share, place.path("dated"))
        got = smbfile.times(file)
        file.close(get_attributes=False)
    assert got[:3] == MOMENTS[:3], f"expected creation, access and write time {MOMENTS[:3]}, got {got[:3]}"


@check("smb.write-time-immediate", loses="programs that watch write times would see changes late (4.23)")
def test_write_time_immediate(target: Target) -> None:
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("watched"))
        file.write(b"first")
        before, started = smbfile.times(file)[2], time.monotonic()

        def moved() -> bool:
            file.write(b"again")
            return smbfile.times(file)[2] != before

        # Below 4.23 the time moves two seconds after the first write, or at the close.
        at_once = within(0.3, moved) and time.monotonic() - started < 1.5
        file.close(get_attributes=False)
    expected = target.expect(old=False, new=True, since="4.23.0")
    assert at_once is expected, f"expected the write time to move at once: {expected}, got {at_once}"


@check(
    "smb.streams", loses="a file's second stream (Mac and Windows metadata) would be lost or land elsewhere"
)
def test_streams(target: Target) -> None:
    with smb.scratch(target) as place:
        file, _ = smb.open_file(place.share, place.path("main"))
        file.write(b"main")
        promised = bool(smbfile.file_system_attributes(file) & NAMED_STREAMS)

        def use_stream() -> None:
            stream, _ = smb.open_file(place.share, place.path("main:extra"))
            stream.write(b"extra")
            stream.close(get_attributes=False)

        said = smb.outcome(use_stream)
        content, names = file.read(0, 20), listing(place)
        file.close(get_attributes=False)
    expected = SUCCESS if promised else "STATUS_OBJECT_NAME_INVALID"
    assert said == expected, f"expected {expected} where streams promised is {promised}, got {said}"
    assert (content, names) == (b"main", ["main"]), (
        f"expected the file itself untouched, got {content!r} in {names}"
    )
