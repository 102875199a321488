"""Runs inside a root that holds Samba: which Python files does Samba use?

Makes every samba-tool subcommand (they load each other dynamically, so a static search finds 2 of 29), imports all of
Samba's Python sources and what they and its scripts import anywhere, also inside functions, until nothing new turns up,
and prints what is loaded as JSON: {"files": {path: module}, "commands": number, "version": "3.13",
"failed": {module: reason}}. Compiled modules that nothing imports (RPC interfaces, mostly) stay out. Standard library
only.
"""

import ast
import importlib
import io
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")

SCRIPTS = (
    "/usr/bin/samba-tool", "/usr/sbin/samba_dnsupdate", "/usr/sbin/samba_spnupdate", "/usr/sbin/samba_kcc",
    "/usr/sbin/samba_upgradedns", "/usr/sbin/samba_downgrade_db", "/usr/bin/samba_downgrade_db",
    "/usr/sbin/samba-gpupdate",
)  # fmt: skip
# Modules that others load by name. One that this release does not have may be absent.
BY_NAME = (
    "markdown",
    "dns.resolver",
    # dnspython looks a record's class up by its type's name; samba_dnsupdate reads all of these.
    "dns.rdtypes.ANY.SOA",
    "dns.rdtypes.ANY.NS",
    "dns.rdtypes.ANY.CNAME",
    "dns.rdtypes.ANY.PTR",
    "dns.rdtypes.ANY.TXT",
    "dns.rdtypes.IN.A",
    "dns.rdtypes.IN.AAAA",
    "dns.rdtypes.IN.SRV",
    "talloc",
    "tdb",
    "ldb",
    "_ldb_text",
    "_tdb_text",
    "tevent",
)
# Modules that Samba's C code imports when a function is called. One that this release does not have may be absent.
FROM_C = (
    "samba.dcerpc.auth", "samba.dcerpc.file_id", "samba.dcerpc.idmap", "samba.dcerpc.irpc", "samba.dcerpc.krb5pac",
    "samba.dcerpc.netlogon", "samba.dcerpc.server_id", "samba.dcerpc.smb2_lease_struct", "samba.net", "samba.param",
)  # fmt: skip
# Standard modules that C code, codecs or other standard modules (tarfile: gzip) look up when they are first needed.
LOOKED_UP = (
    "encodings.ascii", "encodings.cp437", "encodings.hex_codec", "encodings.idna", "encodings.latin_1",
    "encodings.raw_unicode_escape", "encodings.unicode_escape", "encodings.utf_16", "encodings.utf_16_le",
    "encodings.utf_16_be", "encodings.utf_32", "encodings.utf_8", "encodings.utf_8_sig", "encodings.base64_codec",
    "encodings.iso8859_1", "encodings.punycode", "encodings.cp850", "encodings.cp1252", "encodings.aliases",
    "_strptime", "getpass", "tempfile", "traceback", "linecache", "pyexpat", "xml.etree.ElementTree",
    "xml.dom.minidom", "xml.dom.expatbuilder", "stringprep", "bz2", "gzip", "code", "threading",
)  # fmt: skip
# What Samba never needs in a server, but something imports when it happens to be there: Samba's own tests; SSH keys;
# xz archives; Debian's crash reporter; the unit test frameworks and the terminal toys of the interpreter.
NOT_IN_AN_IMAGE = (
    "samba.tests", "samba.selftest", "samba.subunit", "samba.emulate", "bcrypt", "_lzma", "sitecustomize", "unittest",
    "pdb", "pydoc", "doctest", "lib2to3", "test", "idlelib", "tkinter", "ensurepip", "venv",
)  # fmt: skip


def wanted(name):
    return not any(name == out or name.startswith(out + ".") for out in NOT_IN_AN_IMAGE)


class Absent:
    """An import hook that hides what an image does not have, so that others are seen to do without it."""

    def find_spec(self, name, *_):
        """The import protocol's question; None leaves the answer to the finders that follow."""
        if not wanted(name):
            raise ModuleNotFoundError("%s is not in an image" % name, name=name)


def attempt(name, failed):
    """Import a module; what it says when it fails is evidence, not an end."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = "%s: %s" % (type(error).__name__, error)


def instantiate_subcommands():
    """Make every subcommand of samba-tool, as its --help does; returns how many there are."""
    from samba.netcmd.main import cmd_sambatool

    count = 0
    todo = [cmd_sambatool(outf=io.StringIO(), errf=io.StringIO())]
    while todo:
        command = todo.pop()
        count += 1
        subcommands = getattr(command, "subcommands", None) or {}
        todo.extend(subcommands[name] for name in sorted(subcommands))
    return count


def imports_inside(path):
    """Every module name that a source file imports anywhere, also inside functions."""
    with open(path, "rb") as source:
        tree = ast.parse(source.read())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(node.module + "." + alias.name for alias in node.names)
    return names


def samba_sources():
    """The sources of all modules of Samba that are loaded."""
    loaded = [getattr(module, "__file__", None) for name, module in sorted(sys.modules.items())
              if name.split(".")[0] == "samba"]  # fmt: skip
    return [path for path in loaded if path and path.endswith(".py")]


def import_sources(failed):
    """Import every Python source of Samba that belongs into an image."""
    import samba

    folder = os.path.dirname(samba.__file__)
    for where, folders, files in os.walk(folder):
        folders.sort()
        parts = [part for part in os.path.relpath(where, folder).split(os.sep) if part != "."]
        for file in sorted(files):
            stem, ending = os.path.splitext(file)
            name = ".".join(["samba"] + parts + ([] if stem == "__init__" else [stem]))
            if ending == ".py" and wanted(name):
                attempt(name, failed)


def import_what_sources_name():
    """Import what scripts and loaded modules of Samba import, until nothing new turns up."""
    read, tried = set(), set()
    while True:
        todo = sorted(set([path for path in SCRIPTS if os.path.exists(path)] + samba_sources()) - read)
        if not todo:
            return
        for path in todo:
            names = imports_inside(path) - tried
            read.add(path)
            tried |= names
            for name in sorted(names):
                attempt(name, {})


def files_of(name, module):
    """The file of a module. samba.dckeytab poses as samba.net, so the importer's own record goes first."""
    spec = importlib.machinery.PathFinder.find_spec(name, parent_path(name))
    found = [getattr(spec, "origin", None), getattr(module, "__file__", None)]
    return [os.path.abspath(path) for path in found if path and os.path.exists(path)]


def parent_path(name):
    parent = sys.modules.get(name.rpartition(".")[0])
    return list(getattr(parent, "__path__", [])) if parent else None


def main():
    for name in [name for name in sys.modules if not wanted(name)]:
        del sys.modules[name]
    sys.meta_path.insert(0, Absent())
    failed = {}
    commands = instantiate_subcommands()
    import_sources(failed)
    for name in BY_NAME + FROM_C + LOOKED_UP:
        attempt(name, {})
    import_what_sources_name()
    files = {}
    for name, module in sorted(sys.modules.items()):
        if name != "__main__" and module is not None:
            for path in files_of(name, module):
                files.setdefault(path, name)
    print(json.dumps({
        "files": files,
        "failed": failed,
        "commands": commands,
        "version": "%d.%d" % sys.version_info[:2],
    }))  # fmt: skip


main()
