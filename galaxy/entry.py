"""The process: `--version` without loading anything; all else goes to `galaxy.cli.process`."""

import sys


def main() -> None:
    """Run galaxy with this process's arguments and end the process."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from galaxy import __version__  # noqa: PLC0415 - before anything that takes time to load

        print(f"galaxy {__version__}")
        sys.exit(0)
    from galaxy.cli.process import run_command_line  # noqa: PLC0415

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
