"""What a host's administrator may set: defaults, then /etc/galaxy/galaxy.toml, then the environment.

Read once, by the command line; everything below gets values, not files.
"""

import os
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galaxy.host.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
# Seconds: nobody waits longer, and `inf` has no place in JSON.
_DAY = 86400.0
SETTINGS_FILE = Path("/etc/galaxy/galaxy.toml")
# What pydantic says by these types of error means nothing to who wrote the file.
_WORDS = {"extra_forbidden": "unknown key", "missing": "this key is required"}


class TarballSettings(BaseModel):
    """Where upstream tarballs come from and whose signatures count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = "https://download.samba.org/pub/samba/stable/"
    keyring: Path | None = None


class AptSettings(BaseModel):
    """Which suites are asked for Samba, through the mirrors that the host's own apt uses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suites: tuple[str, ...] = (
        "bookworm",
        "bookworm-security",
        "bookworm-backports",
        "trixie",
        "trixie-security",
        "trixie-backports",
        "sid",
    )


class SnapshotSettings(BaseModel):
    """Which snapshots are removed: after each upgrade, and by `galaxy prune` unless it is told otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int = Field(default=5, ge=1, description="how many of the newest stay, however old")
    days: float = Field(default=30.0, ge=0, le=36500, description="how old the others may become")


class Settings(BaseModel):
    """All settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    apt: AptSettings = AptSettings()
    tarball: TarballSettings = TarballSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    provision_timeout: float = Field(
        default=300.0, gt=0, le=_DAY, description="seconds that making a domain may take"
    )
    join_timeout: float = Field(
        default=3600.0, gt=0, le=_DAY, description="seconds that joining a domain may take"
    )
    ready_timeout: float = Field(
        default=60.0, gt=0, le=_DAY, description="seconds that a server may take to answer"
    )
    stop_timeout: float = Field(
        default=30.0, gt=0, le=_DAY, description="seconds that a server may take to stop"
    )


def load_settings(file: Path | None = None) -> Settings:
    """The settings in force. InputError names the file and the key that cannot be taken.

    Only the file at the usual place may be absent: one that somebody named has to be there.
    """
    found = file or settings_file()
    return parse_toml(found, Settings) if found else Settings()


def settings_file() -> Path | None:
    """The file that settings come from: the one that GALAXY_SETTINGS names, else the usual one; None for none."""
    if name := os.environ.get("GALAXY_SETTINGS"):
        return Path(name)
    return SETTINGS_FILE if SETTINGS_FILE.exists() else None


def parse_toml(path: Path, model: type[Model], hint: str = "") -> Model:
    """Read a TOML file into a pydantic model; InputError with the file, the key and the reason otherwise.

    `hint` says what a user shall do about a file that is absent or wrong, where the usual words do not fit.
    """
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}", hint or "Mend the file.") from None
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", hint or "Name a file that is there.") from None
    except OSError as error:
        why = f"cannot read {path}: {error.strerror}"
        raise InputError(why, hint or "Name a file that can be read.") from None
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}", hint or "Mend the file.") from None


def first_problem(error: ValidationError) -> str:
    """The first thing that a model does not take, as `key: why`, in words for who wrote the file."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    why = _WORDS.get(first["type"]) or first["msg"].replace("Input should be", "must be")
    return f"{key}: {why}" if key else why
