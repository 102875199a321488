"""Runs inside an image: the files of a server: sysvol, configuration, TLS, keytabs, with their rights."""

import hashlib
import os
import stat
import struct

from samba.dcerpc import xattr
from samba.ndr import ndr_unpack
from values import DIGEST

SYSVOL = "/var/lib/samba/sysvol/"
ROOTS = ("/etc/samba", "/var/lib/samba")
# Databases are read by their own modules; the others are of the moment: locks, logs, sockets' folders.
DATABASES = (".ldb", ".tdb", ".mdb", ".mdb-lock", ".ldb-lock")
MOMENTARY = frozenset(("msg.sock", "smbd.tmp", "ldap_priv", "lock", "winbindd_privileged"))
TAGS = {0x01: "user:", 0x02: "user:%d", 0x04: "group:", 0x08: "group:%d", 0x10: "mask:", 0x20: "other:"}
BLOCK = 1 << 20
KEYTAB = b"\x05\x02"


def dump_files(sink):
    for root in ROOTS:
        dump_file(sink, root)
        for where, folders, files in os.walk(root):
            peoples = (where + "/").startswith(SYSVOL)  # nothing in there is Samba's own
            folders[:] = sorted(name for name in folders if peoples or name not in MOMENTARY)
            for name in sorted(folders + files):
                if peoples or not name.endswith(DATABASES):
                    dump_file(sink, os.path.join(where, name))


def dump_file(sink, path):
    """One file or folder: kind, mode, owner, content, POSIX ACLs, NTACL and other extended attributes."""
    status = os.lstat(path)
    if stat.S_ISSOCK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
        return
    values = {
        "mode": [stat.filemode(status.st_mode)],
        "owner": ["%d:%d" % (status.st_uid, status.st_gid)],
    }
    if stat.S_ISLNK(status.st_mode):
        values["target"] = [os.readlink(path)]
    elif stat.S_ISREG(status.st_mode):
        values["content"] = [content(sink, path)]
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        values.update(extended(sink, name, os.getxattr(path, name, follow_symlinks=False)))
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    sink.record("files", shown, shown, values)
    if path.endswith(".keytab") and stat.S_ISREG(status.st_mode):
        dump_keytab(sink, path)


def content(sink, path):
    """The content's digest, a keyed one: private keys are files, and scripts may have passwords in them."""
    digest = sink.keyed(path)
    with open(path, "rb") as source:
        for block in iter(lambda: source.read(BLOCK), b""):
            digest.update(block)
    return DIGEST + digest.hexdigest()


def extended(sink, name, raw):
    if name in ("system.posix_acl_access", "system.posix_acl_default"):
        return {"POSIX ACL" + (" default" if name.endswith("default") else ""): posix_acl(raw)}
    if name == "security.NTACL":
        return {"NTACL": [sink.descriptor(raw, lambda: ntacl(raw))]}
    return {name: ["sha256:" + hashlib.sha256(raw).hexdigest()[:32]]}


def ntacl(raw):
    """The security descriptor in the attribute; from version 2 on it stands one level deeper."""
    info = ndr_unpack(xattr.NTACL, raw).info
    return getattr(info, "sd", info)


def posix_acl(raw):
    """The entries in the words of setfacl(1) (linux/posix_acl_xattr.h: a version, then tag, bits and id)."""
    entries = []
    for tag, bits, who in struct.iter_unpack("<HHI", raw[4:]):
        subject = TAGS.get(tag, "%x:" % tag)
        subject = subject % who + ":" if "%d" in subject else subject + ":"
        entries.append(subject + "".join(c if bits & b else "-" for c, b in (("r", 4), ("w", 2), ("x", 1))))
    return sorted(entries)


def dump_keytab(sink, path):
    """Every key of a keytab. Of what has its name and is none, or is in another format, the content is told already."""
    with open(path, "rb") as source:
        data = source.read()
    try:
        entries = list(keytab_entries(data)) if data[:2] == KEYTAB else []
    except (struct.error, UnicodeDecodeError):
        return
    for principal, number, enctype, key in entries:
        name = "%s: %s kvno %d enctype %d" % (path, principal, number, enctype)
        sink.record("keytabs", name, name, {"key": [sink.secret(principal, key)]})


def keytab_entries(data):
    """The entries in MIT's format 0x0502: big-endian, each with its length before it; below zero is a hole."""
    offset = 2
    while offset + 4 <= len(data):
        (length,) = struct.unpack_from(">i", data, offset)
        offset += 4
        if length > 0:
            yield keytab_entry(data[offset : offset + length])
        elif length == 0:
            break
        offset += abs(length)


def keytab_entry(data):
    (parts,) = struct.unpack_from(">H", data)
    offset, words = 2, []
    for _ in range(parts + 1):
        word, offset = counted(data, offset)
        words.append(word.decode())
    offset += 8  # the name's type and a time
    number, enctype = struct.unpack_from(">BH", data, offset)
    key, offset = counted(data, offset + 3)
    if offset + 4 <= len(data):
        number = struct.unpack_from(">I", data, offset)[0] or number
    return "/".join(words[1:]) + "@" + words[0], number, enctype, key


def counted(data, offset):
    (length,) = struct.unpack_from(">H", data, offset)
    return data[offset + 2 : offset + 2 + length], offset + 2 + length
