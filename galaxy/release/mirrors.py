"""The Debian mirrors and keyrings that the host's own apt is set up for.

Both formats are read: one-line `.list` files and deb822 `.sources` files (sources.list(5)).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import HostError

APT_ETC = Path("/etc/apt")
_CODENAMES = (
    "jessie|stretch|buster|bullseye|bookworm|trixie|forky|duke|sid"
    "|oldoldstable|oldstable|stable|testing|unstable"
)
_MAIN = re.compile(rf"({_CODENAMES})(-updates|-backports|-proposed-updates)?")
_SECURITY = re.compile(rf"({_CODENAMES})(-security|/updates)")
_ONE_LINE = re.compile(r"^(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One archive of the host's: where, which suites and parts, and how it is trusted."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Where the host gets Debian itself, and its security updates."""

    main: Entry
    security: Entry | None

    def line(self, kind: str, suite: str) -> str:
        """A one-line entry (`deb` or `deb-src`) for a suite, with the host's own keyring. HostError without mirror."""
        mirror = self.security if _SECURITY.fullmatch(suite) else self.main
        if mirror is None:
            raise HostError(
                f"no mirror of this host serves {suite}",
                "Add Debian's security archive to the host's apt sources.",
            )
        options = " ".join(f"{key}={value}" for key, value in mirror.options)
        return (
            f"{kind} [{options}] {mirror.uri} {suite} main"
            if options
            else f"{kind} {mirror.uri} {suite} main"
        )

    def lines(self, kinds: tuple[str, ...], suites: tuple[str, ...]) -> str:
        """Entries for all kinds and suites, one a line."""
        return "".join(self.line(kind, suite) + "\n" for suite in suites for kind in kinds)


def host_mirrors(folder: Path = APT_ETC) -> Mirrors:
    """Find the host's mirrors. HostError when its apt knows no Debian archive."""
    entries = list(host_entries(folder))
    main = next((entry for entry in entries if _serves(entry, _MAIN)), None)
    if main is None:
        raise HostError(
            f"no Debian archive in {folder}/sources.list or {folder}/sources.list.d",
            "Add a Debian mirror (component main) to the host's apt sources.",
        )
    return Mirrors(main=main, security=next((entry for entry in entries if _serves(entry, _SECURITY)), None))


def host_entries(folder: Path) -> Iterator[Entry]:
    """Every enabled archive of the host's, in apt's order."""
    parts = folder / "sources.list.d"
    files = [folder / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]
    for file in files:
        if file.suffix == ".list" and file.is_file():
            yield from _one_line_entries(file.read_text(encoding="utf-8", errors="replace"))
        elif file.suffix == ".sources" and file.is_file():
            yield from _deb822_entries(file.read_text(encoding="utf-8", errors="replace"))


def _serves(entry: Entry, suites: re.Pattern[str]) -> bool:
    """A Debian archive has the part `main` and suites by Debian's names; Debian's own keyring settles doubts."""
    if "main" not in entry.components or not any(suites.fullmatch(suite) for suite in entry.suites):
        return False
    keyring = dict(entry.options).get("signed-by", "")
    return not keyring or "debian" in keyring.lower() or _looks_like_debian(entry.uri)


def _looks_like_debian(uri: str) -> bool:
    return bool(re.search(r"/debian(-security)?/?$", uri))


def _one_line_entries(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#")[0].strip())
        if match and match[1] == "deb":
            words = [word.split("=", 1) for word in (match[2] or "").split() if "=" in word]
            yield Entry(
                uri=match[3],
                suites=(match[4],),
                components=tuple(match[5].split()),
                options=_trust({key.lower(): value for key, value in words}),
            )


def _deb822_entries(text: str) -> Iterator[Entry]:
    for fields in paragraphs(text):
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
        if enabled and "deb" in fields.get("types", "").split():
            for uri in fields.get("uris", "").split():
                yield Entry(
                    uri=uri,
                    suites=tuple(fields.get("suites", "").split()),
                    components=tuple(fields.get("components", "").split()),
                    options=_trust(fields),
                )


def _trust(fields: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """What makes apt believe an archive; an inline key can't be said in a one-line entry and is left to the host's."""
    kept = [(key, fields[key].replace(" ", ",")) for key in ("signed-by", "trusted") if fields.get(key)]
    return tuple((key, value) for key, value in kept if "BEGIN PGP" not in value)


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a deb822 text: lower-case field names, continuation lines joined by newlines."""
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0] in " \t":
            fields.setdefault(last, "")
            fields[last] = f"{fields[last]}\n{line.strip()}".strip()
        else:
            last, _, value = line.partition(":")
            last = last.strip().lower()
            fields[last] = value.strip()
