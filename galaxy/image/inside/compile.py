"""Runs inside a staged image: replaces Python sources by compiled modules, the same bytes each time.

Reads the list of sources from the file that is its argument, one path a line. A compiled module without its source
is imported without a look at any source (PEP 3147), and its hash-free header carries no time.
"""

import marshal
import os
import sys

from importlib.util import MAGIC_NUMBER

# PEP 552: flags 0, then the source's time and size, which nothing looks at when there is no source.
HEADER = MAGIC_NUMBER + bytes(12)


def main():
    with open(sys.argv[1], encoding="utf-8") as listing:
        paths = listing.read().splitlines()
    for path in paths:
        with open(path, "rb") as source:
            code = compile(source.read(), "/" + path.lstrip("/"), "exec", dont_inherit=True, optimize=0)
        with open(path + "c", "wb") as sink:
            sink.write(HEADER + marshal.dumps(code))
        os.chmod(path + "c", 0o644)
        os.unlink(path)


main()
