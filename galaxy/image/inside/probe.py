"""Runs inside a root that holds Samba: which Python files does Samba use?

Imports every module of Samba and makes every samba-tool subcommand (they load each other dynamically, so a static
search finds 2 of 29), then imports whatever Samba's own sources import inside functions, and prints what is loaded
as JSON: {"files": {path: module}, "stdlib": path, "samba": path, "failed": {module: reason}}. Standard library only.
"""

import ast
import importlib
import io
import json
import os
import sys
import sysconfig
import warnings

warnings.simplefilter("ignore")

# Packages whose modules load each other by name, or that a script rather than a module imports. One that the release
# does not use may be absent.
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
)
# Standard modules that C code or codecs look up by name when they are first needed.
LOOKED_UP = (
    "encodings.ascii", "encodings.cp437", "encodings.hex_codec", "encodings.idna", "encodings.latin_1",
    "encodings.raw_unicode_escape", "encodings.unicode_escape", "encodings.utf_16", "encodings.utf_16_le",
    "encodings.utf_16_be", "encodings.utf_32", "encodings.utf_8", "encodings.utf_8_sig", "encodings.base64_codec",
    "encodings.iso8859_1", "encodings.punycode", "encodings.cp850", "encodings.cp1252", "encodings.aliases",
    "_strptime", "getpass", "tempfile", "traceback", "linecache", "pyexpat", "xml.etree.ElementTree",
    "xml.dom.minidom", "xml.dom.expatbuilder", "importlib.metadata", "ctypes", "stringprep",
)  # fmt: skip
NOT_IN_AN_IMAGE = ("samba.tests", "samba.selftest")


def wanted(name):
    return not any(name == out or name.startswith(out + ".") for out in NOT_IN_AN_IMAGE)


def attempt(name, failed):
    """Import a module; what it says when it fails is evidence, not an end."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = "%s: %s" % (type(error).__name__, error)


def modules_below(folder, package):
    """All modules below a package's folder: path -> name. By file, because samba.dckeytab poses as samba.net."""
    names = {}
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        dotted = ".".join([package] + [p for p in os.path.relpath(where, folder).split(os.sep) if p != "."])
        for file in sorted(files):
            stem = file.split(".")[0]
            if file.endswith((".py", ".so")):
                names[os.path.join(where, file)] = dotted if stem == "__init__" else dotted + "." + stem
    return {path: name for path, name in names.items() if wanted(name)}


def instantiate_subcommands():
    """Make every subcommand of samba-tool, as its --help does."""
    from samba.netcmd.main import cmd_sambatool

    count = 0
    todo = [("samba-tool", cmd_sambatool(outf=io.StringIO(), errf=io.StringIO()))]
    while todo:
        path, command = todo.pop()
        count += 1
        for name in sorted(getattr(command, "subcommands", None) or {}):
            todo.append((path + " " + name, command.subcommands[name]))
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
    return {name for name in names if wanted(name)}


def main():
    import samba

    failed = {}
    folder = os.path.dirname(samba.__file__)
    files = modules_below(folder, "samba")
    for name in list(files.values()) + list(BY_NAME + LOOKED_UP):
        attempt(name, failed)
    commands = instantiate_subcommands()
    own = [
        m.__file__
        for n, m in sorted(sys.modules.items())
        if n.split(".")[0] == "samba" and getattr(m, "__file__", None)
    ]
    scripts = [path for path in SCRIPTS if os.path.exists(path)]
    late = set()
    for path in sorted(p for p in own if p.endswith(".py")) + scripts:
        late |= imports_inside(path)
    for name in sorted(late - set(sys.modules)):
        attempt(name, {})
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and wanted(name) and name not in ("__main__", "sitecustomize"):
            files.setdefault(os.path.abspath(file), name)
    print(json.dumps({
        "files": files,
        "stdlib": sysconfig.get_path("stdlib"),
        "samba": folder,
        "failed": failed,
        "commands": commands,
        "version": "%d.%d" % sys.version_info[:2],
    }))  # fmt: skip


SCRIPTS = (
    "/usr/bin/samba-tool", "/usr/sbin/samba_dnsupdate", "/usr/sbin/samba_spnupdate", "/usr/sbin/samba_kcc",
    "/usr/sbin/samba_upgradedns", "/usr/sbin/samba_downgrade_db", "/usr/sbin/samba-gpupdate",
)  # fmt: skip
main()
