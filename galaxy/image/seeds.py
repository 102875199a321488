"""Where the closure starts: what a domain controller runs, loads by name and reads, and why.

Everything else is in an image because something listed here needs it. Patterns are relative to the root;
`{lib}` stands for each of the root's library folders.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Files to start from. A required seed that matches nothing means that Samba was installed without it."""

    pattern: str
    reason: str
    required: bool = False


def _programs(folder: str, names: str, reason: str, *, required: bool = False) -> tuple[Seed, ...]:
    return tuple(
        Seed(pattern=f"usr/{folder}/{name}", reason=reason, required=required) for name in names.split()
    )


_SERVERS = _programs("sbin", "samba smbd winbindd", "a server program of a domain controller", required=True)
_TOOLS = (
    *_programs("bin", "samba-tool testparm smbcontrol", "an administrator's tool", required=True),
    *_programs("bin", "net smbstatus wbinfo pdbedit ntlm_auth smbpasswd", "an administrator's tool"),
    *_programs("bin", "smbclient smbcacls", "a client that looks at the server from inside"),
    *_programs(
        "bin", "ldbsearch ldbadd ldbmodify ldbdel ldbrename", "reads and mends databases in their own format"
    ),
    *_programs(
        "bin", "tdbbackup tdbdump tdbtool tdbrestore", "`samba-tool domain backup` and repairs run it"
    ),
    *_programs("bin", "tdbbackup.tdbtools", "`samba-tool domain backup` runs it"),
    *_programs("bin", "mdb_copy", "`samba-tool domain backup` runs it where the directory is in LMDB"),
    *_programs("bin", "patch", "`samba-tool domain schemaupgrade` runs it", required=True),
)
_HELPERS = (
    *_programs(
        "sbin", "samba_dnsupdate samba_spnupdate samba_kcc", "samba runs it at intervals", required=True
    ),
    *_programs("sbin", "samba-gpupdate", "winbindd runs it at intervals"),
    *_programs(
        "sbin", "samba_upgradedns samba_downgrade_db", "moves a database between versions or backends"
    ),
    *_programs("bin", "samba_downgrade_db", "moves a database between versions or backends"),
    *_programs(
        "libexec", "samba/samba-dcerpcd samba/rpcd_* samba/samba-bgqd", "smbd starts it for RPC services"
    ),
    *_programs(
        "lib", "*/samba/samba-dcerpcd */samba/rpcd_* */samba/samba-bgqd", "smbd starts it for RPC services"
    ),
    Seed(pattern="bin/dash", reason="/bin/sh, which Samba starts scripts with", required=True),
    Seed(pattern="bin/sh", reason="/bin/sh, which Samba starts scripts with", required=True),
)


def _modules(kind: str, reason: str, *, required: bool = False) -> Seed:
    return Seed(pattern=f"{{lib}}/samba/{kind}/*.so", reason=reason, required=required)


_MODULES = (
    _modules("ldb", "a database module, loaded by name", required=True),
    _modules("service", "a service of the samba process, loaded by name", required=True),
    _modules("process_model", "a process model, loaded by name", required=True),
    _modules("vfs", "a file system module, loaded by name", required=True),
    _modules("gensec", "an authentication mechanism, loaded by name"),
    _modules("auth", "an authentication backend, loaded by name"),
    _modules("idmap", "an id mapping backend, loaded by name"),
    _modules("nss_info", "a source of home folders and shells, loaded by name"),
    Seed(pattern="{lib}/ldb/modules/ldb/*.so", reason="a database module, loaded by name"),
    Seed(
        pattern="{lib}/ossl-modules/legacy.so",
        reason="OpenSSL's MD4 and RC4, which `cryptography` loads by name",
    ),
)
# Samba looks `dos charset` (CP850 unless smb.conf says otherwise) and `unix charset` up in the C library by name, and
# falls back on ASCII with a word in every log. The code pages of DOS and Windows and the ISO ones, of a byte each;
# those of East Asia weigh ten times as much as all of these.
_CODE_PAGES = "IBM437.so IBM8[56]?.so CP737.so CP775.so CP125?.so ISO8859-?.so ISO8859-1?.so"
_CHARSETS = (
    *(
        Seed(pattern=f"{{lib}}/gconv/{name}", reason="a code page that smb.conf may name")
        for name in _CODE_PAGES.split()
    ),
    Seed(pattern="{lib}/gconv/gconv-modules.cache", reason="where the C library finds a code page"),
)
_DATA = (
    Seed(pattern="usr/share/samba/setup/**/*", reason="provision, join and upgrades read it", required=True),
    Seed(pattern="usr/share/samba/admx/**/*", reason="`samba-tool gpo admxload` copies it"),
    Seed(pattern="usr/share/samba/mdssvc/*", reason="the metadata search service reads it"),
)
SEEDS = (*_SERVERS, *_TOOLS, *_HELPERS, *_MODULES, *_CHARSETS, *_DATA)
# What no server of ours reads, or brings a stack of libraries that few need, by what follows `samba/` in the path.
LEFT_OUT = {
    "vfs/ceph.so": "Ceph's client libraries are not carried",
    "vfs/ceph_new.so": "Ceph's client libraries are not carried",
    "vfs/ceph_snapshots.so": "Ceph's client libraries are not carried",
    "vfs/glusterfs.so": "Gluster's client libraries are not carried",
    "vfs/snapper.so": "D-Bus is not carried",
    "setup/display-specifiers/DisplaySpecifiers-Win2k0.txt": "provision reads those of 2008 R2 only",
    "setup/display-specifiers/DisplaySpecifiers-Win2k3.txt": "provision reads those of 2008 R2 only",
    "setup/display-specifiers/DisplaySpecifiers-Win2k3R2.txt": "provision reads those of 2008 R2 only",
    "setup/display-specifiers/DisplaySpecifiers-Win2k8.txt": "provision reads those of 2008 R2 only",
    "setup/ad-schema/MS-AD_Schema_2K8_Attributes.txt": "no base schema of samba-tool is made of it",
    "setup/ad-schema/MS-AD_Schema_2K8_Classes.txt": "no base schema of samba-tool is made of it",
}
