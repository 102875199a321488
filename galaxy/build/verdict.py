"""Why a build failed, in the words of the compiler, the linker or configure."""

import re
from pathlib import Path

from galaxy.host.errors import CommandError, CommandTimeoutError
from galaxy.host.files import says_full

# In this order: the first kind that the log has is the cause, the later ones are its echoes.
_CAUSES = (
    re.compile(r"(?:fatal error|\berror): "),
    re.compile(r"undefined reference to|cannot find -l"),
    re.compile(r"^(?:ERROR|Error|Traceback)|not found\. Please|The configuration failed|Permission denied"),
)
# The IDL compiler says `error` of what it then skips, in every build that goes well.
_HARMLESS = re.compile(r"\.idl:\d+: error: ")
_SHOWN = 5


def reason_of(log: Path, error: CommandError) -> str:
    """The first lines of a build's log that say why it failed; the last lines when none does."""
    if isinstance(error, CommandTimeoutError):
        return error.message
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    signal = _signal(error.returncode)
    if signal:
        return f"it was ended by signal {signal} (9 often means that memory ran out)"
    for cause in _CAUSES:
        found = [line.strip() for line in lines if cause.search(line) and not _HARMLESS.search(line)]
        if found:
            return "\n  ".join(["", *dict.fromkeys(found)][: _SHOWN + 1])
    return "\n  ".join(["", *lines[-_SHOWN:]])


def disk_was_full(log: Path) -> bool:
    """Whether the log shows that a write failed for lack of space."""
    return says_full(log.read_text(encoding="utf-8", errors="replace"))


def _signal(returncode: int) -> int:
    """The signal that ended a command, also when a shell in between reports it as 128 + n; 0 for none."""
    return -returncode if returncode < 0 else max(0, returncode - 128)
