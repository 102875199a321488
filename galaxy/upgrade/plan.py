"""What an upgrade will do, as data: `--plan` prints it, and the other verbs follow it."""

from dataclasses import dataclass

from galaxy.image.catalogue import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """What was asked for: `ref` as the catalogue takes it."""

    name: str
    ref: str
    rehearsal: bool = True
    allow_uncertified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """One side of an upgrade: an image by ref, id and Samba version."""

    ref: str
    id: str
    version: str

    @classmethod
    def of(cls, image: Image) -> "ImageChoice":
        """The choice of an image."""
        return cls(ref=image.ref, id=image.id, version=image.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step, why it is there, and what clients see of it ('' for nothing)."""

    name: str
    reason: str
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradePlan:
    """All of an upgrade. `running`: the server is up, so there is something to hold, stop and start.

    `need` is how many bytes the copies take at most. `notices`: what people should know before, a sentence each.
    """

    server: str
    source: ImageChoice
    target: ImageChoice
    running: bool
    rehearsal: bool
    need: int
    steps: tuple[PlannedStep, ...]
    notices: tuple[str, ...] = ()


def plan_upgrade(
    name: str,
    source: ImageChoice,
    target: ImageChoice,
    *,
    running: bool,
    rehearsal: bool,
    need: int,
    notices: tuple[str, ...] = (),
) -> UpgradePlan:
    """The plan from what preflight found out."""
    steps = (
        *(_rehearsal(target, running=running) if rehearsal else ()),
        *(_live_switch(source, target) if running else _cold_switch(target)),
    )
    return UpgradePlan(
        server=name,
        source=source,
        target=target,
        running=running,
        rehearsal=rehearsal,
        need=need,
        steps=steps,
        notices=notices,
    )


def _rehearsal(target: ImageChoice, *, running: bool) -> tuple[PlannedStep, ...]:
    return (
        PlannedStep(
            name="copy",
            reason="the rehearsal needs the data of now, each database between two transactions",
            seen="a write that comes in that moment waits (see docs/upgrade.md for how long)"
            if running
            else "",
        ),
        PlannedStep(
            name="rehearse",
            reason=f"{target.ref} starts on the copy, in a network of its own, before it touches anything",
        ),
        PlannedStep(
            name="compare",
            reason="every object, password, ACL and file must be what it was, as both versions read it",
        ),
        PlannedStep(
            name="check", reason="dbcheck and the smoke tier of the checks, by real clients, on the copy"
        ),
    )


def _live_switch(source: ImageChoice, target: ImageChoice) -> tuple[PlannedStep, ...]:
    return (
        PlannedStep(
            name="prepare", reason="image mounted and read, snapshot copied ahead: nothing waits for it later"
        ),
        PlannedStep(
            name="hold",
            reason="nobody writes anything that a way back would lose, and nobody is refused",
            seen="new connections wait",
        ),
        PlannedStep(
            name="stop", reason=f"{source.ref} lets go of the databases", seen="open connections end"
        ),
        PlannedStep(name="snapshot", reason="the state that the way back returns to"),
        PlannedStep(name="switch", reason=f"server.toml names {target.ref}"),
        PlannedStep(name="start", reason="LDAP, SMB, Kerberos and DNS must answer; otherwise back by itself"),
        PlannedStep(name="probe", reason="a logon, a search and a file of sysvol; otherwise back by itself"),
        PlannedStep(
            name="commit", reason="from here on clients write to the new version", seen="connections go on"
        ),
        PlannedStep(name="verify", reason="the smoke tier once more, on the server itself"),
    )


def _cold_switch(target: ImageChoice) -> tuple[PlannedStep, ...]:
    return (
        PlannedStep(name="snapshot", reason="the state that the way back returns to"),
        PlannedStep(
            name="switch", reason=f"server.toml names {target.ref}; the server was stopped and stays so"
        ),
    )
