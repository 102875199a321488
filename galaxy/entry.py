"""The process: `--version` without loading anything; all else goes to `galaxy.cli.process`."""

import sys


def main() -> None:
    """Run galaxy with this process's arguments and end the process."""
    if sys.argv[1:] in (["--version"], ["-V"]) and _print_version():
        sys.exit(0)
    from galaxy.cli.process import run_command_line  # noqa: PLC0415

    sys.exit(run_command_line(sys.argv[1:]))


def _print_version() -> bool:
    """Whether it could be printed: the way of all commands tells why not."""
    from galaxy import __version__  # noqa: PLC0415 - before anything that takes time to load

    try:
        print(f"galaxy {__version__}", flush=True)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
