"""The other domain controllers of a server's domain, as far as its own database knows them.

Restoring an old state turns a DC's USNs back. Partners ask a DC only for what is above the last USN that they have
seen of it, so what it then writes under the same numbers never reaches them, and nobody is told (MS-ADTS 3.1.1.1.9;
Microsoft's "USN rollback"). A partner has seen our USNs from the moment in which it joined. So any other DC counts,
whether or not replication with it can be seen here.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from galaxy.host.errors import PolicyError
from galaxy.host.journal import LOOK, Entry, journal
from galaxy.server.config import Server
from galaxy.upgrade.consult import consult

# FILETIME, as replication's times are: 100 ns since 1601 (MS-DTYP 2.3.3).
_EPOCH = 11_644_473_600
_TICKS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """Another DC. `pulled`: when we last read changes from it; `told`: it has asked to be told of ours.

    `usn` is the highest of its own USNs that have reached us. A DC that only just joined has none of these yet, and
    all of our data.
    """

    name: str
    fqdn: str
    dn: str
    read_only: bool
    joined: str
    pulled: datetime | None
    told: bool
    usn: int

    @property
    def replicated(self) -> bool:
        """Whether replication with it has left a trace here."""
        return self.pulled is not None or self.told or self.usn > 0

    def in_words(self) -> str:
        """`dc2.ad.example.org (read 2026-11-23 08:00 UTC)`."""
        kind = "read-only, " if self.read_only else ""
        when = f"read {self.pulled:%Y-%m-%d %H:%M} UTC" if self.pulled else "nothing read from it yet"
        return f"{self.fqdn or self.name} ({kind}{when})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What of a server's directory decides which way back is safe.

    `usn`: the highest one committed. `level`: the domain's functional level (MS-ADTS 6.1.4.2). `heeded`: how many
    objects of each kind there are that only newer versions act upon.
    """

    usn: int
    level: int
    heeded: dict[str, int]
    partners: tuple[Partner, ...]


def look(entry: Entry, server: Server) -> Directory:
    """Read it from the server's own database, running or stopped."""
    return parse(consult(entry, server, "directory"))


def other_dcs(server: Server) -> tuple[Partner, ...]:
    """The other DCs of the domain that the server's database knows: not those that were demoted."""
    with journal(server.store, LOOK, server.name) as entry:
        return look(entry, server).partners


def require_no_partners(server: Server) -> None:
    """PolicyError unless the server is its domain's only DC, and so may go back to an older state."""
    if partners := other_dcs(server):
        raise usn_rollback(server.name, partners)


def usn_rollback(name: str, partners: tuple[Partner, ...]) -> PolicyError:
    """Why a DC with partners cannot have an older state, and what it can have."""
    known = ", ".join(partner.in_words() for partner in partners)
    return PolicyError(
        f"{name} has replicated with {known}: with an older state its next changes would carry numbers (USNs) "
        "that those have seen already, and never reach them, silently",
        f"Ways back that lose nothing: of an upgrade those that galaxy rollback {name} --plan offers; of anything else "
        f"to remove the server (galaxy rm {name}), have another DC forget it (there: samba-tool domain demote "
        "--remove-other-dead-server=NAME) and join it anew (galaxy join). Should the others no longer exist, have "
        "this one forget them in the same way.",
    )


def parse(printed: str) -> Directory:
    """What `inside/directory.py` printed; its line is the last one, after whatever Samba has to say."""
    told = json.loads(printed.strip().splitlines()[-1])
    partners = tuple(_partner(item) for item in told["partners"])
    return Directory(usn=told["usn"], level=told["level"], heeded=told["heeded"], partners=partners)


def _partner(told: dict[str, Any]) -> Partner:
    pulled = told["pulled"]
    return Partner(
        name=told["name"],
        fqdn=told["fqdn"],
        dn=told["dn"],
        read_only=told["read_only"],
        joined=told["joined"],
        pulled=datetime.fromtimestamp(pulled / _TICKS - _EPOCH, UTC) if pulled else None,
        told=told["told"],
        usn=told["usn"],
    )
