"""The typer application, made for one command line: only the command that is asked for is loaded."""

import importlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from galaxy import __version__
from galaxy.cli.commands import COMMANDS, GROUPS, Command

_OPTIONS: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
SUMMARY = "Build, seal, run, verify and certify Samba Active Directory domain controllers."
EXIT_CODES = (
    "Exit codes: 0 done, or gate passed; 1 gate failed; 2 wrong use or bad input; 3 the host lacks a thing; "
    "4 a build failed; 5 a server did not get or stay up; 6 refused by policy; 70 a defect in Galaxy; "
    "130 interrupted."
)


def application(arguments: Sequence[str], *, everything: bool = False) -> typer.Typer:
    """The application for these arguments; with `everything`, all commands are loaded (for the reference)."""
    app = typer.Typer(name="galaxy", help=SUMMARY, epilog=EXIT_CODES, callback=_root, **_OPTIONS)
    groups = {name: typer.Typer(help=text, **_OPTIONS) for name, text in GROUPS.items()}
    words = tuple(arguments)
    for command in COMMANDS:
        wanted = everything or words[: len(command.words)] == command.words
        function = _load(command) if wanted else _named_only
        place = groups[command.words[0]] if len(command.words) > 1 else app
        place.command(
            command.words[-1],
            help=None if wanted else command.help,
            short_help=command.help,
            context_settings={"allow_interspersed_args": not command.verbatim},
        )(function)
    for name, group in groups.items():
        app.add_typer(group, name=name)
    return app


def _load(command: Command) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(importlib.import_module(command.module), command.function)
    return function


def _named_only() -> None:
    """Stand in for a command that was not asked for: its name and help are listed."""


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"galaxy {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
