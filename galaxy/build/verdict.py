"""Why a build failed, in the words of the compiler, the linker or configure."""

import re
from pathlib import Path

from galaxy.host.errors import CommandError, CommandTimeoutError

# In this order: the first kind that the log has is the cause, the later ones are its echoes.
_CAUSES = (
    re.compile(r"No space left on device"),
    re.compile(r"(?:fatal error|\berror): "),
    re.compile(r"undefined reference to|cannot find -l"),
    re.compile(
        r"^(?:ERROR|Error|Traceback)|not found\. Please|The configuration failed|Killed|Permission denied"
    ),
)
_SHOWN = 5


def reason_of(log: Path, error: CommandError) -> str:
    """The first lines of a build's log that say why it failed; the last lines when none does."""
    if isinstance(error, CommandTimeoutError):
        return error.message
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for cause in _CAUSES:
        found = [line.strip() for line in lines if cause.search(line)]
        if found:
            return "\n  ".join(["", *dict.fromkeys(found)][: _SHOWN + 1])
    return "\n  ".join(["", *lines[-_SHOWN:]])
