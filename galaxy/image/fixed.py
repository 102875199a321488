"""What every image has besides Samba's files: accounts, empty mount points, the loader's configuration."""

# The same in all images, so that a server's files keep their owners when it moves from one to another.
# Debian's ids; provision looks for `nobody`, `users`, `nogroup` and `adm` by name.
ACCOUNTS = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUPS = """\
root:x:0:
daemon:x:1:
adm:x:4:
users:x:100:
nogroup:x:65534:
"""
NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""
SERVICES = """\
domain 53/tcp
domain 53/udp
kerberos 88/tcp
kerberos 88/udp
kpasswd 464/tcp
kpasswd 464/udp
ldap 389/tcp
ldap 389/udp
ldaps 636/tcp
microsoft-ds 445/tcp
netbios-ssn 139/tcp
"""
FILES = {
    "etc/passwd": (ACCOUNTS, "names of the accounts that files in a server belong to"),
    "etc/group": (GROUPS, "names of the groups that files in a server belong to"),
    "etc/nsswitch.conf": (NSSWITCH, "where the C library looks names up"),
    "etc/services": (SERVICES, "ports by name, for Kerberos and LDAP libraries"),
    "etc/resolv.conf": ("", "a server mounts its own over it"),
    "etc/hosts": ("127.0.0.1 localhost\n", "a server mounts its own over it"),
    "etc/hostname": ("", "a server mounts its own over it"),
    "etc/krb5.conf": ("", "a server mounts its own over it"),
}
# Folders with their modes; all are empty and most are mounted over.
FOLDERS = {
    "dev": 0o755,
    "etc/samba": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "run/samba": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "var/cache/samba": 0o755,
    "var/lib/samba": 0o755,
    "var/lib/samba/private": 0o700,
    "var/lock": 0o755,
    "var/log/samba": 0o755,
    "var/tmp": 0o1777,
}
LINKS = {"var/run": "/run", "bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
INIT = "usr/libexec/galaxy/init"
PYTHON = "usr/bin/python3"
SEAL = "usr/share/galaxy/seal.json"
