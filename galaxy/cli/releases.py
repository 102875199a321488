"""galaxy releases."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from galaxy.cli.render import print_json, ready_store, table
from galaxy.host.errors import HostError
from galaxy.host.progress import say
from galaxy.host.settings import Settings, load_settings
from galaxy.host.store import Store
from galaxy.release import Recipe, Release
from galaxy.release.find import sources
from galaxy.release.recipe import recipes


def releases(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """List the Samba versions that the configured sources offer, and how each range of versions is built.

    A version is listed once for each suite that has it, with whether it can be compiled from there (SOURCE) and
    whether its binary packages can be taken (PACKAGES). What an archive lists but no longer delivers says so.
    """
    store = ready_store("Asking the mirrors")
    offered, silent = _ask(store, load_settings())
    if as_json:
        print_json(
            {
                "releases": [_release_data(release) for release in offered],
                "recipes": [{**asdict(recipe), "covers": recipe.covers} for recipe in recipes()],
                "unreachable": silent,
            }
        )
        return
    _show_releases(offered)
    for name, reason in silent.items():
        say(f"{name}: {reason}")
    print()
    _show_recipes(offered)


def _ask(store: Store, settings: Settings) -> tuple[list[Release], dict[str, str]]:
    """What all sources offer, and why some could not be asked. HostError when none could."""
    offered: list[Release] = []
    silent: dict[str, HostError] = {}
    asked = sources(store, settings)
    for source in asked:
        try:
            offered += source.releases()
        except HostError as error:
            silent[source.name] = error
    if len(silent) == len(asked):
        raise next(iter(silent.values()))
    newest_first = sorted(offered, key=lambda release: release.version, reverse=True)
    return newest_first, {name: error.message for name, error in silent.items()}


def _release_data(release: Release) -> dict[str, Any]:
    return {**asdict(release), "version": str(release.version)}


def _show_releases(offered: list[Release]) -> None:
    rows = [
        (
            release.version,
            release.origin,
            release.suite or release.location,
            release.package_version or "-",
            _source(release),
            "yes" if release.packages else "-",
            release.note,
        )
        for release in offered
    ]
    table(("VERSION", "FROM", "SUITE", "PACKAGE", "SOURCE", "PACKAGES", "NOTE"), rows)


def _source(release: Release) -> str:
    if not release.source:
        return "-"
    return "yes" if release.deliverable else "gone"


def _show_recipes(offered: list[Release]) -> None:
    rows = [(recipe.covers, recipe.suite, _standing(recipe, offered), recipe.note) for recipe in recipes()]
    table(("RECIPE FOR", "BUILT IN", "EXERCISED", "NOTE"), rows)


def _standing(recipe: Recipe, offered: list[Release]) -> str:
    """Whether the row has been tried; `no` is shown for as long as no source has let anybody try it."""
    if recipe.exercised:
        return "yes"
    reachable = any(
        release.source and release.deliverable and recipe.takes(release.version) for release in offered
    )
    return "no, though a source is in reach" if reachable else "no, no source in reach"
