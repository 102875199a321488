"""Which Samba: versions, recipes, and the sources that can deliver them.

Names are loaded when they are first used: most of what asks for a Version fetches nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxy.release.find import find_release, source_of
    from galaxy.release.model import Patch, Release, Source, SourceFile, SourceSpec, SourceTree
    from galaxy.release.recipe import Recipe, recipe_for
    from galaxy.release.version import Version

__all__ = [
    "Patch",
    "Recipe",
    "Release",
    "Source",
    "SourceFile",
    "SourceSpec",
    "SourceTree",
    "Version",
    "find_release",
    "recipe_for",
    "source_of",
]
_HOMES = {
    "find": ("find_release", "source_of"),
    "recipe": ("Recipe", "recipe_for"),
    "version": ("Version",),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    home = next((module for module, names in _HOMES.items() if name in names), "model")
    return getattr(import_module(f"galaxy.release.{home}"), name)
