"""Runs inside a staged image: replaces Python sources by compiled modules, the same bytes each time.

Reads the list of sources from the file that is its argument, one path a line. A compiled module without its source
is imported without a look at any source (PEP 3147), and its hash-free header carries no time.
"""

import ast
import marshal
import os
import sys

from importlib.util import MAGIC_NUMBER

# PEP 552: flags 0, then the source's time and size, which nothing looks at when there is no source.
HEADER = MAGIC_NUMBER + bytes(12)


# samba-tool prints the docstrings of its commands; nobody reads the standard library's in a server.
KEEPS_DOCSTRINGS = "/samba/"


def without_docstrings(tree):
    """Empty the docstrings of a module, as `python -OO` does; unlike -OO, assertions stay."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            or not body
        ):
            continue
        first = body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            if len(body) > 1:
                del body[0]
            else:
                first.value.value = None
    return tree


def main():
    with open(sys.argv[1], encoding="utf-8") as listing:
        paths = listing.read().splitlines()
    for path in paths:
        with open(path, "rb") as source:
            tree = ast.parse(source.read(), path)
        if KEEPS_DOCSTRINGS not in path:
            tree = without_docstrings(tree)
        code = compile(tree, "/" + path.lstrip("/"), "exec", dont_inherit=True, optimize=0)
        with open(path + "c", "wb") as sink:
            sink.write(HEADER + marshal.dumps(code))
        os.chmod(path + "c", 0o644)
        os.unlink(path)


main()
