"""Changes of the same things on two DCs that do not hear of each other: in the end both have the same."""

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scenarios.partners import Partner, replication_off, settle

if TYPE_CHECKING:
    from verify.clients.ldap import Entry

_ATTRIBUTES = ("objectGUID", "name", "description", "member", "sAMAccountName", "displayName")
# A name that lost: the old RDN, a newline, CNF: and the GUID (MS-ADTS 3.1.1.5.1.6).
_CONFLICT = "\ncnf:"


def conflicts(a: Partner, b: Partner) -> Mapping[str, float]:
    """Renames, moves, equal names, attributes and links in conflict; AssertionError unless both DCs agree."""
    ou = a.new_object("organizationalUnit", f"conflicts-{secrets.token_hex(3)}", a.target.base_dn)
    for name in ("first", "second"):
        a.new_object("organizationalUnit", name, ou)
    for name in ("renamed", "moved", "kept", "gone", "linked", "added"):
        a.new_object("contact", name, ou)
    group = a.new_object("group", f"links-{secrets.token_hex(3)}", ou)
    _link(a, group, "kept", "gone", "linked")
    b.pull(a)
    with replication_off((a, b)):
        for host in (a, b):
            _contradict(host, ou, group, first=host is a)
        _require_apart(a, b, ou)
    settle((a, b), rounds=2)
    _require_agreed(a, b, ou, group)
    return {"objects": len(_below(a, ou))}


def _contradict(host: Partner, ou: str, group: str, *, first: bool) -> None:
    """One side's part in each conflict."""
    name = "one" if first else "two"
    host.admin.rename(f"CN=renamed,{ou}", f"CN=renamed-{name}")
    host.admin.rename(f"CN=moved,{ou}", "CN=moved", under=f"OU={'first' if first else 'second'},{ou}")
    host.new_object("contact", "equal", ou)
    host.admin.set(f"CN=kept,{ou}", displayName=name)
    if first:
        _unlink(host, group, "linked", "gone")
    else:
        _unlink(host, group, "linked")
        _link(host, group, "linked")
        host.admin.set(f"CN=gone,{ou}", displayName="changed while it left a group elsewhere")
    _link(host, group, "added")


def _require_apart(a: Partner, b: Partner, ou: str) -> None:
    """The two sides really were not in touch: otherwise nothing is in conflict, and nothing is proved."""
    for host, name in ((a, "two"), (b, "one")):
        assert not host.has(f"CN=renamed-{name},{ou}"), f"{host.hostname} has heard of its partner's change"


def _require_agreed(a: Partner, b: Partner, ou: str, group: str) -> None:
    mine, theirs = _below(a, ou), _below(b, ou)
    assert set(mine) == set(theirs), f"only one DC has {sorted(set(mine) ^ set(theirs))}"
    differing = [
        f"{mine[key].dn} {mine[key].attributes} at {a.hostname}, {theirs[key].dn} {theirs[key].attributes}"
        for key in mine
        if (mine[key].dn.lower(), mine[key].attributes) != (theirs[key].dn.lower(), theirs[key].attributes)
    ]
    assert not differing, f"{len(differing)} objects differ: {differing[0]}"
    names = [entry.one("name").lower() for entry in mine.values()]
    losers = [name for name in names if _CONFLICT in name]
    assert len(losers) == 1, f"one of two equal names has to lose, got {losers}"
    assert losers[0].startswith("equal\n"), f"what lost its name is {losers[0]!r}"
    assert "equal" in names, "neither object has kept the name that both were given"
    assert sum(name.startswith("renamed-") for name in names) == 1, f"renamed on both: {names}"
    assert names.count("moved") == 1, f"moved on both: {names}"
    # The link that was taken away and put back has the higher version (MS-DRSR 4.1.10.6.14): it stays.
    wanted = {f"cn={name},{ou}".lower() for name in ("kept", "linked", "added")}
    assert a.members(group) == wanted, f"the group has {a.members(group)}, not {wanted}"


def _below(host: Partner, ou: str) -> dict[bytes, "Entry"]:
    """Everything below an OU by its GUID, with what replicates of it."""
    found = host.admin.search(ou, attributes=_ATTRIBUTES)
    return {entry.raw("objectGUID"): _sorted(entry) for entry in found}


def _sorted(entry: "Entry") -> "Entry":
    from verify.clients.ldap import Entry  # noqa: PLC0415 - see scenarios.partners

    return Entry(dn=entry.dn, attributes={name: sorted(values) for name, values in entry.attributes.items()})


def _link(host: Partner, group: str, *names: str) -> None:
    import ldap3  # noqa: PLC0415 - see scenarios.partners

    host.admin.modify(group, {"member": (ldap3.MODIFY_ADD, _contacts(group, names))})


def _unlink(host: Partner, group: str, *names: str) -> None:
    import ldap3  # noqa: PLC0415

    host.admin.modify(group, {"member": (ldap3.MODIFY_DELETE, _contacts(group, names))})


def _contacts(group: str, names: tuple[str, ...]) -> list[str]:
    parent = group.partition(",")[2]
    return [f"CN={name},{parent}" for name in names]
