"""Which ways back are open to a server, and what each would lose: pure decisions on what was looked up before."""

from dataclasses import dataclass
from enum import StrEnum

from galaxy.release.version import Version
from galaxy.server.kept import Snapshot
from galaxy.upgrade.changes import Changes, lost
from galaxy.upgrade.levels import LEVELS, LEVELS_SINCE, claimed_level
from galaxy.upgrade.partners import Directory, usn_rollback
from galaxy.upgrade.plan import ImageChoice, PlannedStep

# Since 4.11 the database's format has been the same (LDB_PACKING_FORMAT_V2, indexes by GUID); older ones need
# samba_downgrade_db.
_SAME_FORMAT = Version.parse("4.11.0")
# Objects that an older Samba keeps, replicates, and does not act upon: what is asked, what it leaves undone, and the
# version that began to (source4/kdc/authn_policy_util.c; dsdb/samdb/ldb_modules/managed_pwd.c).
_HEEDED_SINCE = {
    "authentication policies": ("would not be enforced", Version.parse("4.19.0")),
    "group managed service accounts": ("could not fetch their passwords", Version.parse("4.21.0")),
}


class Way(StrEnum):
    """A way back to the version before."""

    SNAPSHOT = "snapshot"
    DOWNGRADE = "downgrade"
    REJOIN = "rejoin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What was found out about a server that shall go back.

    `target` is None when there is no image to go back to; `why_not` says why. `directory` is what its database says,
    or, when that is `unreadable` (why), what the newest readable snapshot's says; `then`: the chosen one's.
    `changes`: since the snapshot, which had committed `usn`, where it is known. `tool`: its image has
    samba_downgrade_db. `chosen`: somebody named the snapshot. `running`, and `sound`: all four services answer.
    """

    name: str
    source: ImageChoice
    target: ImageChoice | None
    why_not: str
    snapshot: Snapshot | None
    chosen: bool
    directory: Directory | None
    then: Directory | None
    unreadable: str
    changes: Changes | None
    usn: int
    smb_conf: str
    tool: bool
    running: bool
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way. `refused`: why it is closed, '' when it is open. `loses`: what going it costs, line by line."""

    way: Way
    what: str
    refused: str = ""
    loses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    steps: tuple[PlannedStep, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it may be gone."""
        return not self.refused


def offers(at: Situation) -> tuple[Offer, ...]:
    """All ways, the open and the closed ones."""
    return (_snapshot(at), _downgrade(at), _rejoin(at))


def _snapshot(at: Situation) -> Offer:
    what = "the state from before the upgrade, with the version that wrote it"
    if at.snapshot is None or at.target is None:
        return Offer(
            way=Way.SNAPSHOT, what=what, refused=at.why_not or "there is no snapshot of before the upgrade"
        )
    if at.directory is None:
        return Offer(
            way=Way.SNAPSHOT, what=what, refused=f"nothing tells whether there are other DCs: {at.unreadable}"
        )
    if at.directory.partners:
        return Offer(
            way=Way.SNAPSHOT, what=what, refused=usn_rollback(at.name, at.directory.partners).message
        )
    taken = f"{at.snapshot.taken:%Y-%m-%d %H:%M} UTC"
    return Offer(
        way=Way.SNAPSHOT,
        what=f"the state of {taken}, with {at.target.ref}",
        loses=(*lost(at.changes, taken, at.unreadable), *_unknown(at)),
        notes=("the state of now is kept as a snapshot too", *_resurrected(at)),
        steps=(*_before(at, "the state of now is kept"), _lay(taken), *_after(at.target)),
    )


def _unknown(at: Situation) -> tuple[str, ...]:
    """What only the database could tell that cannot be read."""
    why = (
        f"whether another DC has joined since the last snapshot is not known: if one has, {at.name} will diverge from "
        "it, silently (USN rollback)"
    )
    return (why,) if at.unreadable else ()


def _resurrected(at: Situation) -> tuple[str, ...]:
    """DCs that have left the domain since, which the old state still counts on."""
    left = at.then.partners if at.then is not None else ()
    return tuple(
        f"{one.fqdn or one.name} has left the domain since; remove it again: samba-tool domain demote "
        f"--remove-other-dead-server={one.name}"
        for one in left
    )


def _downgrade(at: Situation) -> Offer:
    what = "the databases of now, in a format for any version, with the version of before"
    refused = at.why_not if at.target is None else _cannot_read(at, Version.parse(at.target.version))
    if refused or at.target is None:
        return Offer(way=Way.DOWNGRADE, what=what, refused=refused)
    return Offer(
        way=Way.DOWNGRADE,
        what=f"the databases of now, in a format for any version, with {at.target.ref}",
        loses=_unheeded(at, Version.parse(at.target.version)),
        steps=(
            *_before(at, "the way forward again, should the older version not come up"),
            *_format(at),
            *_after(at.target),
        ),
    )


def _cannot_read(at: Situation, old: Version) -> str:
    """Why an older version would not do with this database, even in its own format; '' when it would."""
    if at.chosen:
        return "a snapshot was named, and this way keeps the present data"
    if at.directory is None or at.unreadable:
        return f"the database cannot be read: {at.unreadable}"
    if not at.tool and old < _SAME_FORMAT:
        return f"{at.source.ref} has no samba_downgrade_db, and {old} cannot read its format"
    claimed = claimed_level(at.smb_conf)
    if old >= LEVELS_SINCE and at.directory.level > LEVELS[claimed]:
        return (
            f"the domain's functional level has been raised above the one that {old} would claim ({claimed}): it "
            "would refuse to start; set `ad dc functional level` in smb.conf first"
        )
    return ""


def _unheeded(at: Situation, old: Version) -> tuple[str, ...]:
    """What an older version doesn't do with what a newer one has let people make: that may let in whom it keeps out."""
    heeded = at.directory.heeded if at.directory is not None else {}
    return tuple(
        f"{count} {kind} {what}: Samba does so since {since}"
        for kind, (what, since) in _HEEDED_SINCE.items()
        if (count := heeded.get(kind, 0)) and old < since
    )


def _rejoin(at: Situation) -> Offer:
    what = "removed from the domain and joined again with the version of before, from another DC's data"
    refused = at.why_not if at.target is None else ""
    if not refused and at.chosen:
        refused = "a snapshot was named, and this way takes the present data of another DC"
    if not refused and at.directory is None:
        refused = f"nothing tells whether there are other DCs: {at.unreadable}"
    if not refused and at.directory is not None and all(one.read_only for one in at.directory.partners):
        refused = (
            f"the last snapshot that can be read knew no writable DC but {at.name}"
            if at.unreadable
            else f"{at.name} is the domain's only writable DC"
        )
    if refused or at.target is None or at.directory is None:
        return Offer(way=Way.REJOIN, what=what, refused=refused)
    partners = ", ".join(one.in_words() for one in at.directory.partners if not one.read_only)
    return Offer(
        way=Way.REJOIN,
        what=f"removed from the domain and joined again with {at.target.ref}",
        loses=(*(() if at.sound else _UNDELIVERED), *_unheeded(at, Version.parse(at.target.version))),
        notes=(f"other DCs: {partners}",),
        needs=("--dc ADDRESS of one of the other DCs", "--admin-password-file FILE"),
        steps=_REJOIN_STEPS,
    )


_UNDELIVERED = (
    "whatever it has not sent to the other DCs yet, and cannot deliver: it does not run, or not well (start it first)",
)
_REJOIN_STEPS = (
    PlannedStep(name="deliver", reason="the other DC must have every change that this one has acknowledged"),
    PlannedStep(name="stop", reason="nothing is written here any more", seen="the server is away"),
    PlannedStep(name="set aside", reason="the databases of now stay until the older version is checked"),
    PlannedStep(
        name="demote", reason="the domain forgets the old DC: its replication, its records; no way back"
    ),
    PlannedStep(name="join", reason="the version of before gets the directory from the other DC"),
    PlannedStep(
        name="carry over",
        reason="smb.conf, sysvol, shares and all else of people's, which Samba does not replicate",
    ),
    PlannedStep(name="start", reason="LDAP, SMB, Kerberos and DNS must answer", seen="the server is back"),
    PlannedStep(name="probe", reason="a logon, a search and a file of sysvol"),
)


def _before(at: Situation, why: str) -> tuple[PlannedStep, ...]:
    return (
        PlannedStep(
            name="hold", reason="nobody writes in between, and nobody is refused", seen="new connections wait"
        ),
        PlannedStep(
            name="stop", reason=f"{at.source.ref} lets go of the databases", seen="open connections end"
        ),
        PlannedStep(name="snapshot", reason=why),
    )


def _lay(taken: str) -> PlannedStep:
    return PlannedStep(name="restore", reason=f"configuration, databases and sysvol of {taken}")


def _format(at: Situation) -> tuple[PlannedStep, ...]:
    if not at.tool:
        return ()
    return (
        PlannedStep(name="downgrade", reason="samba_downgrade_db writes the format that any version reads"),
    )


def _after(target: ImageChoice) -> tuple[PlannedStep, ...]:
    return (
        PlannedStep(name="start", reason=f"{target.ref} must answer; otherwise forward again by itself"),
        PlannedStep(
            name="probe", reason="a logon, a search and a file of sysvol; otherwise forward again by itself"
        ),
        PlannedStep(
            name="commit", reason=f"from here on clients write to {target.ref}", seen="connections go on"
        ),
    )
