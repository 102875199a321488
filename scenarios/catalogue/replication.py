"""Two DCs of one domain, of two versions: one is made, the other joins; whatever is done at one holds at both.

From the first one's death on, the second has the domain to itself.
"""

import re
from collections.abc import Callable, Mapping

from galaxy.server.lifecycle import kill, start, status
from scenarios import conflicts, masters, replicated, schema
from scenarios.engine import Scenario, Step
from scenarios.partners import Partner, linked, partners, settle
from scenarios.world import World
from verify.clients.sambalog import deaths, disasters, texts_of

Figures = Mapping[str, float]
_DBCHECK_SECONDS = 100.0
_COMPARED = ("domain", "configuration", "schema", "dnsdomain", "dnsforest")
# A DC's server object (configuration) names its account (domain). Where the object comes before the account, which is
# chance, Samba keeps the link and never makes its way back: repl_meta_data.c lets a target of another partition be
# missing. `samba-tool dbcheck --fix` makes it; nothing of replication needs it.
_BACKLINK = "serverReferenceBL"
# One line of each crash, of the many that tell of it.
_PANIC, _TALLOC = "PANIC (pid", "talloc"


def _create(world: World) -> Figures:
    world.create("dc1", world.images[0])
    return {"ready_s": start(world.dc, world.settings).all}


def _join(world: World) -> Figures:
    world.join("dc2", world.images[1])
    assert status(world.server("dc2")).state == "stopped"
    return {}


def _start_joined(world: World) -> Figures:
    """The new DC starts, finds its partner, and a change at either reaches the other by itself."""
    ready = start(world.server("dc2"), world.settings)
    with partners(world, "dc1", "dc2") as (a, b):
        linked((a, b), masters.contexts(a))
        return {"ready_s": ready.all, **replicated.told(a, b)}


def _between(act: Callable[[Partner, Partner], Figures | None]) -> Callable[[World], Figures]:
    """A step that is done with clients of both DCs."""

    def step(world: World) -> Figures:
        with partners(world, "dc1", "dc2") as (a, b):
            return act(a, b) or {}

    return step


def _objects(a: Partner, b: Partner) -> None:
    replicated.objects(a, b)
    replicated.passwords(a, b)
    replicated.names(a, b)


def _roles(a: Partner, b: Partner) -> Figures:
    """All roles go to the second DC, and back; each DC gives RIDs of a pool of its own."""
    masters.pools((a, b))
    return {"there_s": masters.transfer(a, b), "back_s": masters.transfer(b, a)}


def _compare(a: Partner, b: Partner) -> Figures:
    """The whole directory, attribute by attribute, by Samba's own tool; and neither has an error of its own."""
    settle((a, b), masters.contexts(a), rounds=1)
    urls = [f"ldap://{host.target.fqdn}" for host in (a, b)]
    said = a.tool("ldapcmp", *urls, *_COMPARED, f"--filter={_BACKLINK}", admin=True).output
    assert said.count("SUCCESS") == len(_COMPARED), f"the DCs differ: {said}"
    for host, other in ((a, b), (b, a)):
        _require_sound(host)
        _require_quiet(host, other)
    return {"objects": sum(int(number) for number in re.findall(r"Objects to be compared: (\d+)", said))}


def third(world: World) -> Figures:
    """A third DC joins through the second, which is not the RID master; the three agree. `rolling` has it."""
    world.join("dc3", world.images[1], through="dc2")
    ready = start(world.server("dc3"), world.settings)
    with partners(world, "dc1", "dc2", "dc3") as hosts:
        _, b, c = hosts
        linked((b, c), (b.target.base_dn,))
        pool = masters.first_pool(c)
        masters.pools(hosts)
        replicated.objects(b, c)
    return {"ready_s": ready.all, "first_pool_s": pool}


def _lose_first(world: World) -> Figures:
    """The DC with all roles dies; the other takes them and goes on."""
    kill(world.dc)
    with partners(world, "dc2") as (b,):
        masters.seize(b)
        b.tool("domain", "demote", "--remove-other-dead-server=DC1")
        _, name, word = b.new_user()
        b.kerberos.kinit(f"{name}@{b.target.realm}", word)
        gone = b.admin.search(b.target.base_dn, "(sAMAccountName=DC1$)", ["cn"])
        assert not gone, f"the dead DC is still in the domain: {gone}"
        sites = f"CN=Sites,CN=Configuration,{b.target.base_dn}"
        gone = b.admin.search(sites, "(&(objectClass=server)(cn=DC1))", ["cn"])
        assert not gone, f"the dead DC is still in its site: {gone}"
        offered = b.dns.texts(f"_ldap._tcp.dc._msdcs.{b.target.dns_domain}", "SRV")
        assert offered, "no DC is offered any more"
        assert not [one for one in offered if "dc1." in one.lower()], (
            f"the dead DC is still offered: {offered}"
        )
        _require_sound(b)
    return {}


def _require_quiet(host: Partner, other: Partner) -> None:
    """No process of a DC has crashed, or ended by itself: its master makes another, and clients would hardly notice.

    But for KDCs that end by the other's TGTs: each of those ends has said so.
    """
    folder = host.target.log_folder
    assert folder is not None
    logs = texts_of(folder)
    known = 0 if replicated.takes_tickets(host, other) else logs["log.samba"].count(replicated.END_BY_TICKET)
    told = [f"{name}: {line}" for name, text in logs.items() for line in disasters(text)]
    crashes = [line for line in told if _PANIC in line or _TALLOC in line] or told
    ended = deaths(logs["log.samba"])
    assert max(len(crashes), len(ended)) <= known, (
        f"{host.hostname} has crashed {len(crashes)} times, {known} of them as known, and {len(ended)} processes have "
        f"ended: {[*crashes, *ended][:5]}"
    )


def _require_sound(host: Partner) -> None:
    """No ERROR of dbcheck but the one of `_BACKLINK`.

    A WARNING is for a member that left its group before it was deleted; that ends with its tombstone.
    """
    shell = host.target.shell
    assert shell is not None
    said = shell("samba-tool", "dbcheck", "--cross-ncs", timeout=_DBCHECK_SECONDS).output
    assert "Checked " in said, f"dbcheck on {host.hostname} came to no end: {said}"
    errors = [line for line in said.splitlines() if line.startswith("ERROR") and _BACKLINK not in line]
    assert not errors, f"dbcheck on {host.hostname}: {errors[:3]}"


compared = _between(_compare)

REPLICATION = Scenario(
    name="replication",
    weight=150,
    roles=("first", "second"),
    servers=2,
    admits=lambda versions: versions[0] != versions[1],
    protects="Two DCs of different versions that drift apart, or do not take each other's tickets.",
    steps=(
        Step(name="create", act=_create, why="The first DC makes the domain."),
        Step(name="join", act=_join, why="The second, of the other version, joins it and is stopped yet."),
        Step(
            name="start-joined",
            act=_start_joined,
            checkpoint="joined",
            host="dc2",
            why="It starts; a change at either DC reaches the other by itself.",
        ),
        Step(
            name="objects",
            act=_between(_objects),
            why="Users, groups, members, passwords, DNS records and deletions, made at one DC, hold at the other.",
        ),
        Step(
            name="schema",
            act=_between(schema.extended),
            why="The schema gets an attribute and a class at one DC; both make objects of it and find the other's.",
        ),
        Step(
            name="tickets",
            act=_between(replicated.tickets),
            why="A TGT of one DC gets service tickets at the other, and both take them, for LDAP and SMB; but KDCs of "
            "4.18.6 and older end by TGTs of 4.19 and newer, and are made anew: that they still do is required.",
        ),
        Step(
            name="conflicts",
            act=_between(conflicts.conflicts),
            why="Renames, moves, equal names and links are changed on both sides apart; then both have the same.",
        ),
        Step(
            name="roles",
            act=_between(_roles),
            why="All seven FSMO roles move to the second DC and back; each DC gives RIDs of pools of its own.",
        ),
        Step(
            name="compare",
            act=compared,
            why="Samba's own comparison of both directories finds nothing, nor does dbcheck.",
        ),
        Step(
            name="lose-first",
            act=_lose_first,
            why="The first DC dies; the second seizes its roles, forgets it and goes on.",
        ),
    ),
)
