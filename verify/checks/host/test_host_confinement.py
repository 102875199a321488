"""What a server that is broken into could still reach."""

from pathlib import Path

from verify.check import check
from verify.clients.host import ROOT, Inside, Process, inside
from verify.target import Target

STATE = "/var/lib/samba"
# linux/capability.h: what would lead out of the sandbox, by bit.
FORBIDDEN = {
    "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_MODULE": 16, "CAP_SYS_RAWIO": 17, "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19, "CAP_SYS_PACCT": 20, "CAP_SYS_BOOT": 22, "CAP_SYS_TIME": 25, "CAP_MKNOD": 27,
    "CAP_AUDIT_CONTROL": 30, "CAP_SETFCAP": 31, "CAP_MAC_OVERRIDE": 32, "CAP_MAC_ADMIN": 33, "CAP_SYSLOG": 34,
    "CAP_WAKE_ALARM": 35, "CAP_PERFMON": 38, "CAP_BPF": 39, "CAP_CHECKPOINT_RESTORE": 40,
}  # fmt: skip
SECCOMP_FILTER = "2"


def processes(target: Target) -> list[Process]:
    """The server's processes; an empty list would make every check below pass."""
    found = inside(target).processes()
    assert len(found) > 10, f"expected a server's processes, got {[process.name for process in found]}"
    return found


@check("host.root-read-only", loses="whoever breaks in could change the programs and stay")
def test_root_read_only(target: Target) -> None:
    server = inside(target)
    tried = server.host.run(f"touch {ROOT}/usr/galaxy-check {ROOT}/galaxy-check")
    left = [path for path in ("/usr/galaxy-check", "/galaxy-check") if server.host.file(ROOT + path).exists]
    for path in left:
        server.host.run("rm %s", ROOT + path)
    assert "ro" in server.mounts()["/"], f"expected a read-only root, got {server.mounts()['/']}"
    assert tried.stderr.count("Read-only file system") == 2, (
        f"expected writes to be refused, got {tried.stderr!r}"
    )


@check("host.mounts", loses="a program or a device that somebody puts into the state could be used")
def test_mounts(target: Target) -> None:
    mounts = inside(target).mounts()
    loose = {
        point: sorted({"nosuid", "nodev"} - options)
        for point, options in mounts.items()
        if "rw" in options
        and point.partition("/dev")[0]
        and not {"nosuid", "nodev"} <= options
        and not point.startswith("/proc/")
    }
    assert not loose, f"expected nosuid and nodev on everything writable, missing {loose}"
    assert "noexec" in mounts[STATE], f"expected noexec on {STATE}, got {sorted(mounts[STATE])}"


@check("host.private-files", loses="any account of the host could read the domain's password hashes")
def test_private_files(target: Target) -> None:
    host = inside(target).host
    private = host.file(f"{ROOT}{STATE}/private")
    open_to_others = host.run(
        f"find {ROOT}{STATE}/private -type f "
        r"\( -name '*.ldb' -o -name '*.tdb' -o -name '*.key' -o -name '*.keytab' -o -name key.pem \) "
        # Samba gives files in LMDB its default mode; their folder keeps others out.
        r"\( -perm /007 ! -path '*/sam.ldb.d/*' -o ! -user root -o ! -group root \)"
    )
    kept = host.file(f"{ROOT}{STATE}/private/sam.ldb").exists
    assert kept, "expected sam.ldb in the private folder"
    assert (private.user, private.mode) == ("root", 0o700), (
        f"expected the private folder to be root's, 0o700, got {private.user}, {oct(private.mode)}"
    )
    assert open_to_others.rc == 0, f"find: {open_to_others.stderr}"
    assert open_to_others.stdout == "", (
        f"expected databases that root alone reads, got {open_to_others.stdout}"
    )


@check("host.namespaces", loses="a broken server could see and stop the host's other processes")
def test_namespaces(target: Target) -> None:
    server = inside(target)
    ours = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "mnt", "uts", "ipc")}
    shared = [kind for kind, own in ours.items() if server.namespace(kind) in {own, ""}]
    assert not shared, f"expected namespaces of its own, shares {shared} with the host"
    _first_process_is_init(server)


def _first_process_is_init(server: Inside) -> None:
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    inner = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))
    assert inner == "1", f"expected the server's first process to be process 1 inside, got {inner}"


@check("host.capabilities", loses="whoever breaks into a service could take over the host")
def test_capabilities(target: Target) -> None:
    held = {
        f"{process.name}: {name}"
        for process in processes(target)
        for kind in ("CapBnd", "CapEff", "CapPrm", "CapAmb")
        for name, bit in FORBIDDEN.items()
        if process.capabilities(kind) >> bit & 1
    }
    assert not held, f"expected none of the dangerous capabilities, got {sorted(held)[:10]}"


@check("host.no-new-privileges", loses="a set-user-ID program could give back what was taken away")
def test_no_new_privileges(target: Target) -> None:
    loose = sorted({process.name for process in processes(target) if process.status["NoNewPrivs"] != "1"})
    assert not loose, f"expected no new privileges in every process, missing in {loose}"


@check("host.seccomp", loses="the kernel's rarely used calls would be open to an attacker")
def test_seccomp(target: Target) -> None:
    loose = sorted(
        {process.name for process in processes(target) if process.status["Seccomp"] != SECCOMP_FILTER}
    )
    assert not loose, f"expected a seccomp filter in every process, missing in {loose}"


@check("host.no-core-dumps", loses="a crash would write passwords and keys to the disk")
def test_no_core_dumps(target: Target) -> None:
    able = sorted({process.name for process in processes(target) if process.core_limit != "0"})
    found = inside(target).host.run(
        f"find {ROOT}{STATE} {ROOT}/var/cache/samba {ROOT}/var/log/samba -type f "
        r"\( -name 'core*' -o -name log.samba \)"
    )
    assert not able, f"expected a core size of 0 in every process, more in {able}"
    assert found.rc == 0, f"find: {found.stderr}"
    names = [Path(line).name for line in found.stdout.splitlines()]
    assert names == ["log.samba"], f"expected the log and no core files, got {found.stdout}"
