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
SETTINGS_FILE = Path("/etc/galaxy/galaxy.toml")


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


class Settings(BaseModel):
    """All settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    apt: AptSettings = AptSettings()
    tarball: TarballSettings = TarballSettings()
    provision_timeout: float = Field(default=300.0, gt=0, description="seconds that making a domain may take")
    ready_timeout: float = Field(default=60.0, gt=0, description="seconds that a server may take to answer")
    stop_timeout: float = Field(default=30.0, gt=0, description="seconds that a server may take to stop")


def load_settings(file: Path | None = None) -> Settings:
    """The settings in force. InputError names the file and the key that cannot be taken.

    Only the file at the usual place may be absent: one that somebody named has to be there.
    """
    named = file or (Path(name) if (name := os.environ.get("GALAXY_SETTINGS")) else None)
    if named is None and not SETTINGS_FILE.exists():
        return Settings()
    return parse_toml(named or SETTINGS_FILE, Settings)


def parse_toml(path: Path, model: type[Model]) -> Model:
    """Read a TOML file into a pydantic model; InputError with the file, the key and the reason otherwise."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}", "Mend the file.") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "Name a file that can be read.") from None
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}", "Mend or remove that key.") from None
