"""Runs inside a running DC: does what an administrator does there, command by command.

Standard input is JSON: {"commands": [{"words", "given", "password", "again"}, ...], "seconds": for each, "tries" and
"try_seconds": for those to be asked `again`, ever longer, until they end well}. Prints a line of JSON for each command as it
ends: {"code", "said"}; a command that is still running after its time was killed: -9.
samba-tool's commands run in children of this process, which has loaded what takes samba-tool most of a second to load,
and in which a password among the words is in no argument list.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback


def load(commands):
    """Load here what these commands of samba-tool would load one by one: a quarter of their processor time."""
    from samba.netcmd.main import cmd_sambatool

    for command in commands:
        program, *names = command["words"][:2]
        if program == "samba-tool" and names and names[0] in cmd_sambatool.subcommands:
            cmd_sambatool.subcommands[names[0]]  # it loads what it is asked for


def child(words, given, sink, environment):
    """What the child does, to its end."""
    code = 99
    try:
        os.dup2(given.fileno(), 0)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        if words[0] == "samba-tool":
            code = int(samba_tool(*words[1:]) or 0) & 255  # noqa: F821 - put before this
        else:
            code = subprocess.run(words, env=environment).returncode
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(command, seconds):
    """Run a command in a child with a session of its own, which ends with it; its code and all it said."""
    # Not PASSWD_FD: some programs read the password more than once.
    environment = {**os.environ, **({"PASSWD_FILE": "/proc/self/fd/0"} if command["password"] else {})}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as sink:
        given.write((command["password"] or command["given"]).encode())
        given.seek(0)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            child(command["words"], given, sink, environment)
        signal.alarm(seconds)
        try:
            code = os.waitpid(pid, 0)[1]
        except TimeoutError:
            os.killpg(pid, signal.SIGKILL)
            code = os.waitpid(pid, 0)[1]
        finally:
            signal.alarm(0)
        sink.seek(0)
        return os.waitstatus_to_exitcode(code), sink.read().decode(errors="replace")


def too_long(_number, _frame):
    raise TimeoutError


def main():
    asked = json.loads(sys.stdin.read())
    signal.signal(signal.SIGALRM, too_long)
    load(asked["commands"])
    for command in asked["commands"]:
        tries, seconds = (asked["tries"], asked["try_seconds"]) if command["again"] else (1, asked["seconds"])
        for number in range(tries):
            if number:
                time.sleep(1)
            code, said = run(command, seconds * (number + 1))
            if code == 0:
                break
        print(json.dumps({"code": code, "said": said}), flush=True)


main()
