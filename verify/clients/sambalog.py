"""What Samba's own log says about its processes; its lines are the same from 4.17 to 4.24."""

import re
from contextlib import suppress
from pathlib import Path

# Written by every start of samba (source4/samba/server.c); what is before it was another run of the server.
_STARTED = re.compile(r"^\s*samba version \S+ started", re.MULTILINE)
# A parent about its child (source4/samba/process_prefork.c, process_standard.c). SIGKILL and SIGTERM come from others,
# all else is a process's own end.
_ENDED = re.compile(
    r"Child \d+\b.*?(?:exited with status [1-9]|terminated with signal (?!(?:9|15)\b)\d|terminated, unable)"
)
# Where Samba has its processes' memory go that crash (lib/util/fault.c).
_CORES = "cores"
_LOG = re.compile(r"^log\.|\.log(\.|$)")
# What a process writes when it hits a bug (lib/util/fault.c).
_DISASTER = re.compile(
    r"INTERNAL ERROR|PANIC|smb_panic|dumping core|talloc: access after free|bad talloc magic"
)


def text_of(log: Path) -> str:
    """What is in a log, whatever its bytes."""
    return log.read_text(encoding="utf-8", errors="replace")


def texts_of(folder: Path) -> dict[str, str]:
    """A server's logs by name, as smb.conf usually has them called; console.log has what its processes wrote."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if _LOG.search(path.name) and name.parts[0] != _CORES and path.is_file():
            with suppress(FileNotFoundError):  # rotated away just now
                found[str(name)] = text_of(path)
    return found


def disasters(text: str) -> list[str]:
    """The lines of a log that tell of a bug in Samba."""
    return [line.strip() for line in text.splitlines() if _DISASTER.search(line)]


def deaths(text: str) -> list[str]:
    """The lines of log.samba, from the last start on, about processes that ended by themselves and in error."""
    since = max((found.end() for found in _STARTED.finditer(text)), default=0)
    return [line.strip() for line in text[since:].splitlines() if _ENDED.search(line)]
