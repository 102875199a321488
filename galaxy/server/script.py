"""Scripts for an image's own Python: sent as text, for nothing of Galaxy's is inside a server."""

from pathlib import Path

PYTHON = "/usr/bin/python3"
_SAMBA_TOOL = Path(__file__).parent / "tools" / "samba_tool.py"


def argv_of(text: str) -> tuple[str, ...]:
    """What runs that text inside; its own arguments may follow."""
    return (PYTHON, "-c", text)


def with_samba_tool(text: str) -> tuple[str, ...]:
    """The same for a text that calls samba_tool(*words): a command of samba-tool's within the script's own process.

    So passwords among the words are in no argument list, and what samba-tool takes most of a second to load is loaded
    once for several commands. How it is called depends on the version (tools/samba_tool.py).
    """
    return argv_of(f"{_SAMBA_TOOL.read_text(encoding='utf-8')}\n{text}")
