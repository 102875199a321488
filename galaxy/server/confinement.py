"""What a server may do: capabilities and system calls.

The capabilities are an allow list, found by taking one after the other away from a DC that is provisioned, started
and used. The seccomp filter is a deny list on purpose: a DC holds CAP_SYS_ADMIN (without it the kernel refuses
`security.NTACL`), and what that capability opens beyond extended attributes is exactly what is listed here. An allow
list would name 300 calls and break with the next libc; it would not be tighter where it matters.
"""

from pathlib import Path
from typing import Any

# Each with what fails without it.
CAPABILITIES: dict[str, str] = {
    "CAP_SYS_ADMIN": "setxattr of security.NTACL",
    "CAP_CHOWN": "files take the owner of the user who makes them",
    "CAP_DAC_OVERRIDE": "smbd checks NT ACLs itself and must get past the mode bits",
    "CAP_FOWNER": "chmod and POSIX ACLs on files of others",
    "CAP_FSETID": "set-group-ID folders below sysvol keep their bit",
    "CAP_KILL": "the parent signals workers that have become another user",
    "CAP_SETGID": "smbd becomes the user",
    "CAP_SETUID": "smbd becomes the user",
    "CAP_NET_BIND_SERVICE": "53, 88, 389, 445",
}

DENIED_CALLS: dict[str, tuple[str, ...]] = {
    "mounts: the file system is what Galaxy made it": (
        "mount", "umount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount",
        "open_tree", "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd", "chroot",
    ),
    "namespaces: no second sandbox inside": ("unshare", "setns"),
    "the kernel itself": (
        "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "bpf", "perf_event_open",
        "reboot", "syslog", "acct", "iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "uselib", "nfsservctl",
        "lookup_dcookie", "_sysctl", "create_module", "get_kernel_syms", "query_module",
    ),
    "the clock and the host's name": (
        "settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex",
        "sethostname", "setdomainname",
    ),
    "other processes' memory and keys": (
        "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd", "keyctl",
        "add_key", "request_key", "move_pages", "migrate_pages",
    ),
    "ways around the checks above": (
        "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_by_handle_at",
        "name_to_handle_at", "fanotify_init", "fanotify_mark", "personality", "vmsplice", "memfd_secret",
    ),
}  # fmt: skip

# ioctl(2) requests that CAP_SYS_ADMIN opens on a file of the host's file system, or on a terminal, by what they do.
DENIED_REQUESTS: dict[str, tuple[int, ...]] = {
    "freezing, trimming and shutting a file system down (FIFREEZE, FITHAW, FITRIM, FS_IOC_SHUTDOWN)": (
        0xC0045877, 0xC0045878, 0xC0185879, 0x8004587D,
    ),
    "typing for somebody else (TIOCSTI, TIOCLINUX)": (0x5412, 0x541C),
    # linux/btrfs.h: subvolumes and snapshots, the default one, searching trees, names of inodes, sending.
    "what of btrfs lies outside of the server's folders": (
        0x50009401, 0x50009417, 0x5000940E, 0x50009418, 0x5000940F, 0x5000943F, 0x40089413, 0xD0009411, 0xC0709411,
        0xD0009412, 0xC0389423, 0xC038943B, 0x40489426,
    ),
}  # fmt: skip

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW{CGROUP,UTS,IPC,USER,PID,NET,NS}
_EPERM, _ENOSYS = 1, 38
_ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}


def seccomp(machine: str) -> dict[str, Any]:
    """The filter in the words of the OCI runtime specification, for a machine as uname(1) names it."""
    denied = sorted(call for calls in DENIED_CALLS.values() for call in calls)
    rules: list[dict[str, Any]] = [_refuse(denied, _EPERM)]
    # clone3 hides its flags behind a pointer: told that there is none, libc falls back to clone, which is looked at.
    rules.append(_refuse(["clone3"], _ENOSYS))
    for flag in (1 << bit for bit in range(32) if _NEW_NAMESPACES >> bit & 1):
        has_flag = {"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append({**_refuse(["clone"], _EPERM), "args": [has_flag]})
    for request in (request for requests in DENIED_REQUESTS.values() for request in requests):
        # The kernel takes the lower 32 bits (fs/ioctl.c).
        is_it = {"index": 1, "value": 0xFFFFFFFF, "valueTwo": request, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append({**_refuse(["ioctl"], _EPERM), "args": [is_it]})
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": list(_ARCHITECTURES.get(machine, ())),
        "syscalls": rules,
    }


def _refuse(calls: list[str], errno: int) -> dict[str, Any]:
    return {"names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}


def granted(status: Path = Path("/proc/self/status")) -> tuple[str, ...]:
    """The capabilities of the list that this host can give: a runtime refuses to ask for more (capabilities(7))."""
    line = next(x for x in status.read_text(encoding="utf-8").splitlines() if x.startswith("CapBnd:"))
    bounding = int(line.split()[1], 16)
    return tuple(name for name in CAPABILITIES if bounding >> NUMBERS[name] & 1)


# linux/capability.h
NUMBERS: dict[str, int] = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_KILL": 5, "CAP_SETGID": 6,
    "CAP_SETUID": 7, "CAP_NET_BIND_SERVICE": 10, "CAP_SYS_ADMIN": 21,
}  # fmt: skip
