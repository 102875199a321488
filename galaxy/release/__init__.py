"""Which Samba: versions, recipes, and the sources that can deliver them."""

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
