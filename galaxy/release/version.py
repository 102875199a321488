"""Samba's version numbers, and the order of Debian's."""

import re
from dataclasses import dataclass
from functools import total_ordering

from galaxy.host.errors import InputError

_UPSTREAM = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:(pre|rc)(\d+))?", re.ASCII)
_DEBIAN_RUN = re.compile(r"(\D*)(\d*)", re.ASCII)
_FINAL = ("~", 0)


@total_ordering
@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A Samba version such as 4.22.11 or 4.23.0rc2; candidates sort before their release."""

    major: int
    minor: int
    patch: int = 0
    stage: tuple[str, int] = _FINAL

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `4.22.11`, `4.23.0rc2` or `4.22` (patch 0). InputError for anything else."""
        match = _UPSTREAM.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"{text!r} is not a Samba version",
                "Write it like 4.22.11; `galaxy releases` lists what there is.",
            )
        major, minor, patch, stage, number = match.groups()
        return cls(
            major=int(major),
            minor=int(minor),
            patch=int(patch or 0),
            stage=(stage, int(number)) if stage else _FINAL,
        )

    @property
    def series(self) -> str:
        """What its minor releases have in common: `4.22`."""
        return f"{self.major}.{self.minor}"

    def _key(self) -> tuple[int, int, int, tuple[str, int]]:
        return (self.major, self.minor, self.patch, self.stage)

    def __lt__(self, other: object) -> bool:
        return self._key() < other._key() if isinstance(other, Version) else NotImplemented

    def __str__(self) -> str:
        stage = "" if self.stage == _FINAL else f"{self.stage[0]}{self.stage[1]}"
        return f"{self.major}.{self.minor}.{self.patch}{stage}"

    def distance(self, other: "Version") -> tuple[int, int]:
        """How far apart two versions are, series first; the smallest is the nearest."""
        return (
            abs(self.minor - other.minor) + 100 * abs(self.major - other.major),
            abs(self.patch - other.patch),
        )


def upstream_version(package_version: str) -> str:
    """Samba's own version in a Debian one: `2:4.22.6+dfsg-0+deb13u1~bpo12+1` -> `4.22.6`."""
    return re.split(r"[+-]", package_version.rpartition(":")[2], maxsplit=1)[0].replace("~", "")


def debian_key(version: str) -> tuple[object, ...]:
    """A sort key in the order of Debian Policy 5.6.12, for versions of one package."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.partition("-") if "-" not in rest else rest.rpartition("-")
    return (int(epoch or 0), _part_key(upstream), _part_key(revision))


def _part_key(part: str) -> tuple[object, ...]:
    pairs = [(_letters(text), int(number or 0)) for text, number in _DEBIAN_RUN.findall(part)]
    return tuple(pairs)


def _letters(text: str) -> tuple[int, ...]:
    """Tilde before the end, the end before letters, letters before everything else."""
    order = [-1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256 for char in text]
    return (*order, 0)
