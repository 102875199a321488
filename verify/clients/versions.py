"""Versions of changes that were made in several series at once, as security fixes are."""

from galaxy.release.version import Version
from verify.target import Target


def has_fix(target: Target, *first: str) -> bool:
    """Whether a server has a fix that came first in these releases, one a series, oldest first."""
    if target.version is None:
        return True
    releases = [Version.parse(text) for text in first]
    same = [release for release in releases if release.series == target.version.series]
    return target.version >= (same[0] if same else releases[-1])
