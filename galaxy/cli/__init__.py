"""The command line: parse, call one function, render. One module a noun; `commands.py` has the list."""
