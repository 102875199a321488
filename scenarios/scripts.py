"""The scripts of inside/, run in a server of a cell."""

import json
from pathlib import Path

from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.script import with_samba_tool

_INSIDE = Path(__file__).with_name("inside")


def run_script(server: Server, name: str, asked: object, timeout: float) -> str:
    """Run `inside/NAME.py` in a running server; what it printed.

    What it shall know, passwords among it, goes in as JSON by standard input. CommandError when it fails or takes
    longer than `timeout`, seconds.
    """
    argv = with_samba_tool((_INSIDE / f"{name}.py").read_text(encoding="utf-8"))
    return exec_(server, argv, stdin=json.dumps(asked), timeout=timeout, check=True).stdout
