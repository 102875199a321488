"""What the kernel can do, found out by trying it in a throwaway folder and throwaway namespaces.

Mounts and links are made inside `unshare`, so they end with the process that made them; the folder is
journalled.
"""

import json
import os
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from galaxy.host.doctor import Finding, attempt
from galaxy.host.errors import GalaxyError
from galaxy.host.journal import journal
from galaxy.host.process import run
from galaxy.host.store import Store

_MODULES = "Use a kernel that has it, or let modprobe load the module."


def probe(store: Store) -> Iterator[Finding]:
    """Try everything that servers, labs and builds rest on; needs root."""
    folder = store.root / f"doctor-{secrets.token_hex(4)}"
    with journal(store, "doctor", "the kernel") as entry, entry.temporarily("tree", folder):
        folder.mkdir()
        yield attempt("namespaces", "mount, pid, uts, ipc, net", "Use a kernel with namespaces.", _namespaces)
        yield attempt("overlayfs", "writable copies of build roots", _MODULES, partial(_overlay, folder))
        yield attempt("squashfs, loop", "mounting images", _MODULES, partial(_squashfs, folder))
        yield attempt("veth, bridge", "networks for servers and labs", _MODULES, _links)
        yield attempt("nf_tables", "clients that wait while a server is away", _MODULES, _tables)
        yield attempt(
            "security.NTACL", "NT ACLs of sysvol", _attributes_remedy(store), partial(_ntacl, folder)
        )
        yield attempt("POSIX ACLs", "ACLs of sysvol", _attributes_remedy(store), partial(_posix_acl, folder))
        yield attempt("runc, seccomp", "running servers", "apt-get install runc", partial(_container, folder))
        yield Finding(name="cgroups", found=_cgroups(), needed="any kind", necessary=False)


def _attributes_remedy(store: Store) -> str:
    return f"Put {store.root} on ext4, xfs or btrfs, with ACLs, attributes, blocks of 4 KB, in no user namespace."


def _unshared(script: str, *arguments: str | Path) -> None:
    kinds = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--kill-child"]
    run(["unshare", *kinds, "sh", "-ec", script, "sh", *arguments], timeout=30)


def _namespaces() -> str:
    _unshared("true")
    return "work"


def _overlay(folder: Path) -> str:
    for name in ("lower", "upper", "work", "merged"):
        (folder / name).mkdir()
    (folder / "lower/file").write_text("below", encoding="utf-8")
    _unshared(
        'cd "$1"; mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged; echo x >merged/file',
        folder,
    )
    if (folder / "lower/file").read_text(encoding="utf-8") != "below":
        raise GalaxyError("writes reach the lower layer")
    return "works"


def _squashfs(folder: Path) -> str:
    (folder / "tree").mkdir()
    (folder / "tree/file").write_text("sealed", encoding="utf-8")
    image = folder / "image.squashfs"
    run(["mksquashfs", folder / "tree", image, "-comp", "xz", "-no-progress", "-quiet"])
    (folder / "mounted").mkdir()
    _unshared('mount -o loop,ro "$1" "$2"; test "$(cat "$2/file")" = sealed', image, folder / "mounted")
    return "work"


def _links() -> str:
    _unshared("ip link add v0 type veth peer name v1; ip link add b0 type bridge; ip link set v0 master b0")
    return "work"


def _tables() -> str:
    chain = "add chain inet t c { type filter hook input priority -300; }"
    _unshared('nft "$1"', f"add table inet t; {chain}; add rule inet t c iif lo accept")
    return "work"


def _ntacl(folder: Path) -> str:
    file = folder / "attributes"
    file.touch()
    os.setxattr(file, "security.NTACL", bytes(2048))
    return "can be set"


def _posix_acl(folder: Path) -> str:
    # acl(5), as the kernel takes it: version 2, then (tag, permissions, id) for user, a named user, group, ...
    entries = ((1, 7, -1), (2, 7, 12345), (4, 5, -1), (0x10, 7, -1), (0x20, 5, -1))
    packed = b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little", signed=True)
        for tag, bits, who in entries
    )
    os.setxattr(folder, "system.posix_acl_access", (2).to_bytes(4, "little") + packed)
    return "can be set"


def _container(folder: Path) -> str:
    """Run `true` in a container with a seccomp filter; its state is in the folder, and only there."""
    bundle = folder / "bundle"
    bundle.mkdir()
    run(["runc", "spec", "--bundle", bundle])
    file = bundle / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    rootfs = bundle / "rootfs"
    rootfs.mkdir()
    binds = [name for name in ("usr", "bin", "lib", "lib64") if Path("/", name).exists()]
    config["mounts"] += [_bind(name) for name in binds]
    config["process"] |= {"args": ["/usr/bin/env", "true"], "terminal": False}
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}],
    }
    config["linux"].pop("resources", None)
    file.write_text(json.dumps(config), encoding="utf-8")
    run(["runc", "--root", folder / "runc", "run", "--bundle", bundle, f"galaxy-{folder.name}"], timeout=30)
    return run(["runc", "--version"]).stdout.splitlines()[0]


def _bind(name: str) -> dict[str, object]:
    options = ["rbind", "ro"]
    return {
        "destination": f"/{name}",
        "source": str(Path("/", name).resolve()),
        "type": "bind",
        "options": options,
    }


def _cgroups() -> str:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    kinds = {line.split(" - ")[1].split()[0] for line in lines}
    if "cgroup" in kinds:
        return "hybrid" if "cgroup2" in kinds else "v1"
    return "v2" if "cgroup2" in kinds else "none"
