"""The version that a source tree states of itself, in its file VERSION."""

import re
from pathlib import Path

from galaxy.host.errors import BuildError, InputError
from galaxy.release.model import Release
from galaxy.release.version import Version

_FIELD = re.compile(r"^SAMBA_VERSION_(MAJOR|MINOR|RELEASE|PRE_RELEASE|RC_RELEASE)=(\d+)", re.MULTILINE)


def version_in(text: str) -> Version:
    """The version that a VERSION file states. InputError when it states none."""
    fields = {name: int(value) for name, value in _FIELD.findall(text)}
    if not {"MAJOR", "MINOR", "RELEASE"} <= fields.keys():
        raise InputError("the source's VERSION file states no version", "Use a complete source tree.")
    stages = [
        (stage, fields[key]) for stage, key in (("rc", "RC_RELEASE"), ("pre", "PRE_RELEASE")) if key in fields
    ]
    plain = Version(major=fields["MAJOR"], minor=fields["MINOR"], patch=fields["RELEASE"])
    return Version.parse(f"{plain}{stages[0][0]}{stages[0][1]}") if stages else plain


def require_version(tree: Path, release: Release) -> None:
    """BuildError when an unpacked source is another version than its name says, or no Samba at all."""
    file = tree / "VERSION"
    if not file.is_file():
        raise BuildError(f"what {release.location} holds is no Samba source", "It has no file VERSION.")
    stated = version_in(file.read_text(encoding="utf-8", errors="replace"))
    if stated != release.version:
        raise BuildError(
            f"{release.location} is named Samba {release.version} and holds Samba {stated}",
            "Fetch the right file, or give this one its right name.",
        )
