"""How a range of versions is built: the rows of recipes.toml."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.host.errors import BuildError
from galaxy.host.settings import parse_toml
from galaxy.release.version import Version

RECIPES_FILE = Path(__file__).with_name("recipes.toml")


class RecipeRow(BaseModel):
    """One row: versions from `since` (included) up to `before` (left out; absent: everything later).

    Lists add to those of the `common` table; a configure option that starts with `-` and also stands in
    `without_options` is taken out of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: str
    before: str | None = None
    suite: str
    exercised: bool = Field(description="whether a configured source has let this row be built and run")
    note: str = ""
    dependencies: tuple[str, ...] = ()
    without_dependencies: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    without_options: tuple[str, ...] = ()
    python: str = "python3"
    extra_files: tuple[str, ...] = ()


class Common(BaseModel):
    """What every row shares unless it says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dependencies: tuple[str, ...]
    options: tuple[str, ...]
    cflags: str
    ldflags: str
    left_out: tuple[str, ...]
    extra_files: tuple[str, ...] = ()


class RecipeFile(BaseModel):
    """The whole of recipes.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    common: Common
    recipe: tuple[RecipeRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one version is built: a row with the common part merged in."""

    since: str
    before: str
    suite: str
    exercised: bool
    note: str
    dependencies: tuple[str, ...]
    options: tuple[str, ...]
    cflags: str
    ldflags: str
    left_out: tuple[str, ...]
    python: str
    extra_files: tuple[str, ...]

    @property
    def covers(self) -> str:
        """The range in words: `4.14 to 4.16`, `4.20 and later`."""
        first = Version.parse(self.since)
        if not self.before:
            return f"{first.series} and later"
        end = Version.parse(self.before)
        last = f"{end.major}.{end.minor - 1}"
        return first.series if first.series == last else f"{first.series} to {last}"

    def takes(self, version: Version) -> bool:
        """Whether a version falls into the range; candidates count as the release they lead to."""
        final = Version(major=version.major, minor=version.minor, patch=version.patch)
        return Version.parse(self.since) <= final and (not self.before or final < Version.parse(self.before))


@cache
def recipes(file: Path = RECIPES_FILE) -> tuple[Recipe, ...]:
    """All rows, oldest first."""
    body = parse_toml(file, RecipeFile)
    rows = sorted(body.recipe, key=lambda row: Version.parse(row.since))
    return tuple(_merged(row, body.common) for row in rows)


def recipe_for(version: Version) -> Recipe:
    """The row that covers a version. BuildError when there is none."""
    for recipe in recipes():
        if recipe.takes(version):
            return recipe
    raise BuildError(
        f"no recipe covers Samba {version}",
        f"Add a row to {RECIPES_FILE.name}; it covers {recipes()[0].since} and later.",
    )


def _merged(row: RecipeRow, common: Common) -> Recipe:
    return Recipe(
        since=row.since,
        before=row.before or "",
        suite=row.suite,
        exercised=row.exercised,
        note=row.note,
        dependencies=_without(common.dependencies + row.dependencies, row.without_dependencies),
        options=_without(common.options + row.options, row.without_options),
        cflags=common.cflags,
        ldflags=common.ldflags,
        left_out=common.left_out,
        python=row.python,
        extra_files=common.extra_files + row.extra_files,
    )


def _without(words: tuple[str, ...], gone: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in gone)
