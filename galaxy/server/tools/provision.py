"""Runs inside a new server's sandbox: `samba-tool` with the words of argument 1, a JSON list.

The administrator's password comes on standard input and is put among the words here, so that it is in no argument list.
"""

import json
import sys

code = samba_tool(*json.loads(sys.argv[1]), "--adminpass=" + sys.stdin.read())  # noqa: F821 - put before this
sys.exit(code and 1)
