"""How a range of versions is built: the rows of recipes.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.host.errors import BuildError, InputError
from galaxy.host.settings import parse_toml
from galaxy.release.version import Version

RECIPES_FILE = Path(__file__).with_name("recipes.toml")


class RecipeRow(BaseModel):
    """One row: versions from `since` (included) up to `before` (left out; absent: everything later).

    `like` names the `since` of a row that says all the rest, but for the remarks (`exercised`, `note`). Lists add to
    those of the `common` table; a configure option that starts with `-` and also stands in `without_options` is taken
    out of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: str
    before: str | None = None
    like: str = ""
    suite: str = ""
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
        since = Version.parse(self.since)
        first = str(since) if since.patch else since.series
        if not self.before:
            return f"{first} and later"
        end = Version.parse(self.before)
        last = f"{end.series}.{end.patch - 1}" if end.patch else f"{end.major}.{end.minor - 1}"
        if last == since.series:
            return f"{last} from {first} on" if since.patch else last
        return f"{first} to {last}"

    def takes(self, version: Version) -> bool:
        """Whether a version falls into the range; candidates count as the release they lead to."""
        final = Version(major=version.major, minor=version.minor, patch=version.patch)
        return Version.parse(self.since) <= final and (not self.before or final < Version.parse(self.before))


@cache
def recipes(file: Path = RECIPES_FILE) -> tuple[Recipe, ...]:
    """All rows, oldest first."""
    body = parse_toml(file, RecipeFile)
    rows = sorted(body.recipe, key=lambda row: Version.parse(row.since))
    whole = {row.since: row for row in rows if not row.like}
    return tuple(_merged(_told(row, whole, file), body.common) for row in rows)


def recipe_for(version: Version) -> Recipe:
    """The row that covers a version. BuildError when there is none."""
    for recipe in recipes():
        if recipe.takes(version):
            return recipe
    raise BuildError(
        f"no recipe covers Samba {version}",
        f"Add a row to {RECIPES_FILE.name}; it covers {recipes()[0].since} and later.",
    )


def _told(row: RecipeRow, whole: Mapping[str, RecipeRow], file: Path) -> RecipeRow:
    """The row with what the one that it is like says. InputError when it says that itself, or nobody does."""
    said = row.model_fields_set - {"since", "before", "exercised", "note", "like"}
    if row.like and (said or row.like not in whole):
        why = f"says {sorted(said)} too" if said else "is no row of its own"
        raise InputError(
            f"{file}: the row since {row.since} is like {row.like}, which {why}", "Mend the file."
        )
    if not row.like and not row.suite:
        raise InputError(f"{file}: the row since {row.since} has no suite", "Mend the file.")
    own = {"since": row.since, "before": row.before, "exercised": row.exercised, "note": row.note}
    return whole[row.like].model_copy(update=own) if row.like else row


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
