"""What inside/dump.py wrote: a file with one record a line, read as a stream, because a domain may be large."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

Values = Mapping[str, tuple[str, ...]]
HEADER, DESCRIPTORS = "header", "descriptors"
# Objects are known by their GUIDs, so a name may change: then it is a difference of its own.
_NAMED = "name"


class Header(BaseModel):
    """Which version wrote a dump, when, and the DNs of its domain and DC that expected changes are about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: str
    version: str
    taken: str = Field(description="UTC, as LDAP writes times: 20261123083753.0Z")
    tombstone_days: int
    domain: str
    config: str
    schema_dn: str
    forest: str
    ntds: str
    server: str
    account: str = Field(description="DN of the DC's computer account")
    dns_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing of a dump: an object, a file, a key, by area and key, with its values by attribute."""

    area: str
    key: str
    name: str
    values: Values

    @classmethod
    def parse(cls, line: bytes) -> "Record":
        """Read a line of a dump."""
        body = json.loads(line)
        values = {attribute: tuple(texts) for attribute, texts in body["values"].items()}
        return cls(area=body["area"], key=body["key"], name=body["name"], values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDump:
    """A server's data as one version reads it; `counts` says how many things of each area there are."""

    path: Path
    counts: Mapping[str, int]
    seconds: float

    @property
    def header(self) -> Header:
        """The header, which stands among the other lines."""
        line = next(line for line in self.lines() if line.startswith(b'{"account"'))
        return Header.model_validate_json(line)

    def lines(self) -> Iterator[bytes]:
        """All lines, read anew at each call."""
        with self.path.open("rb") as source:
            yield from source


def fingerprints(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    """What each record is known by, with a digest of its line: 100,000 objects take some 20 MB."""
    return {line_key(line): blake2b(line, digest_size=16).digest() for line in lines}


def line_key(line: bytes) -> bytes:
    """Area and key of a line, unparsed: the members are sorted, and no text has an unescaped quote."""
    return line.partition(b'","name":')[0]


def picked(lines: Iterable[bytes], keys: Collection[bytes]) -> tuple[dict[bytes, Record], dict[str, str]]:
    """The records with these keys, and the SDDL of every security descriptor by its name."""
    records: dict[bytes, Record] = {}
    sddl: dict[str, str] = {}
    for line in lines:
        if line.startswith(b'{"area":"descriptors"'):
            record = Record.parse(line)
            sddl[record.key] = record.values["sddl"][0]
        elif (key := line_key(line)) in keys and not line.startswith(b'{"account"'):
            records[key] = Record.parse(line)
    return records, sddl
