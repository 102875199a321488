"""Runs inside a sealed image: does everything in it work? Prints one line a defect; nothing when all is well.

The loader resolves every ELF file, every Python module of Samba imports, every samba-tool subcommand prints its
help through the samba-tool program, provision makes a domain (in LMDB, where there is that), which can be
backed up and restored.
"""

import glob
import importlib
import io
import os
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec")
SAMBA_TOOL = "/usr/bin/samba-tool"
LMDB = glob.glob("/usr/lib/**/ldb/mdb.so", recursive=True)
PROVISION = (
    "domain", "provision", "--realm=CHECK.EXAMPLE", "--domain=CHECK", "--host-name=dc", "--host-ip=192.0.2.1",
    "--server-role=dc", "--dns-backend=SAMBA_INTERNAL", "--use-rfc2307", *(["--backend-store=mdb"] if LMDB else []),
)  # fmt: skip
BACKUP = ("domain", "backup", "offline", "--targetdir=/tmp/backup")
RESTORE = ("domain", "backup", "restore", "--newservername=dc2", "--targetdir=/tmp/restored", "--backup-file")
# What Samba says when the C library does not know `dos charset`, which is CP850.
NO_CHARSET = "unavailable - using"


def elf_files():
    for folder in FOLDERS:
        for where, _, files in os.walk(folder):
            for file in sorted(files):
                path = os.path.join(where, file)
                if os.path.islink(path):
                    continue
                with open(path, "rb") as source:
                    if source.read(4) == b"\x7fELF":
                        yield path


def loader():
    for where, _, files in os.walk("/usr/lib"):
        for file in files:
            if file.startswith("ld-linux"):
                return os.path.join(where, file)
    sys.exit("the image has no loader")


def list_needs(program, path):
    done = subprocess.run(
        [program, "--list", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0 or "not found" in done.stdout:
        return "%s: the loader says: %s" % (path, done.stdout.strip().splitlines()[-1])
    return None


def check_loader():
    program = loader()
    paths = [path for path in elf_files() if not os.path.basename(path).startswith("ld-linux")]
    return [defect for path in paths if (defect := list_needs(program, path))]


def check_imports():
    import samba

    defects = []
    folder = os.path.dirname(samba.__file__)
    for where, _, files in os.walk(folder):
        parts = [part for part in os.path.relpath(where, folder).split(os.sep) if part != "."]
        for file in sorted(files):
            stem, _, ending = file.partition(".")
            if not ending.endswith(("py", "pyc", "so")):
                continue
            name = ".".join(["samba", *parts] + ([] if stem == "__init__" else [stem]))
            try:
                importlib.import_module(name)
            except BaseException as error:
                defects.append("the Python module %s cannot be imported: %s" % (name, error))
    return defects


def all_commands():
    """The words of every samba-tool subcommand, from samba-tool's own tables."""
    from samba.netcmd.main import cmd_sambatool

    todo = [((), cmd_sambatool(outf=io.StringIO(), errf=io.StringIO()))]
    while todo:
        words, command = todo.pop()
        yield words
        for name in sorted(getattr(command, "subcommands", None) or {}):
            todo.append(((*words, name), command.subcommands[name]))


def check_help(words, program):
    """Run samba-tool in a child that has everything loaded already; its help must come with exit code 0."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(read)
        sys.argv = [SAMBA_TOOL, *words, "--help"]
        code = 99
        try:
            exec(program, {"__name__": "__main__", "__file__": SAMBA_TOOL})
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException as error:
            print(error)
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0 or "sage:" not in text:
        last = text.strip().splitlines()[-1:] or ["nothing printed"]
        return "samba-tool %s --help ended with %d: %s" % (" ".join(words), code, last[0])
    return None


def finish_provision(provision):
    """Defects of the domain that is being made, then of a backup of it, which takes more of Python than any other."""
    output = provision.communicate()[0]
    if provision.returncode != 0:
        return ["provision " + ending(provision.returncode, output)]
    if NO_CHARSET in output:
        return [line for line in output.splitlines() if NO_CHARSET in line][:1]
    os.mkdir("/tmp/backup")
    return run_tool(BACKUP) or run_tool((*RESTORE, *glob.glob("/tmp/backup/*")))


def run_tool(words):
    done = subprocess.run([SAMBA_TOOL, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        return ["samba-tool %s %s" % (" ".join(words[:3]), ending(done.returncode, done.stdout))]
    return []


def ending(code, output):
    lines = [line for line in output.splitlines() if line.strip()]
    return "ended with %d: %s" % (code, " | ".join(lines[-3:]))


def main():
    provision = subprocess.Popen(
        [SAMBA_TOOL, *PROVISION], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    defects = check_loader() + check_imports()
    with open(SAMBA_TOOL, "rb") as source:
        program = compile(source.read(), SAMBA_TOOL, "exec")
    defects += [defect for words in all_commands() if (defect := check_help(words, program))]
    print("\n".join(defects + finish_provision(provision)))


main()
