"""All of a server's data, held against what they were: with the versions' own tools, on copies."""

from collections.abc import Iterator
from contextlib import contextmanager

from galaxy.host.journal import journal
from galaxy.server.snapshot import clone
from galaxy.upgrade.compare import compare
from galaxy.upgrade.dump import dump
from galaxy.upgrade.dumpfile import DataDump
from galaxy.upgrade.expected import Rule, load_rules
from scenarios.world import World

# Beside what any start changes: an upgrade that has been committed is checked by real clients once more.
_CHECKED = (
    Rule(
        area="directory",
        name=r"(CN=g[a-z]|OU=galaxy-verify-)[0-9a-f]{8}\\0ADEL:[0-9a-f-]{36},CN=Deleted Objects,{domain}",
        added=r"(?s).*",
        reason="tombstones of the accounts that the smoke tier of the checks makes and removes",
    ),
    Rule(
        area="directory",
        name="CN=RID Set,{account}",
        attributes=("rIDNextRID",),
        lost=r"\d+",
        added=r"\d+",
        rises=True,
        reason="the numbers that those accounts got, of the server's own pool",
    ),
)


@contextmanager
def compared(world: World, hostname: str) -> Iterator[dict[str, float]]:
    """After the block nothing may differ from before but what the list of expected changes has; figures come then."""
    figures: dict[str, float] = {}
    folder = world.server(hostname).folder
    with journal(world.store, "compare", hostname) as entry:

        def dumped(when: str) -> DataDump:
            home = folder / f"compare-{when}"
            entry.on_failure("tree", home)
            server = world.server(hostname)
            return dump(clone(entry, server, home, server.config.network).server, entry)

        before = dumped("before")
        yield figures
        found = compare(before, dumped("after"), (*load_rules(), *_CHECKED))
    assert not found.unexpected, f"{len(found.unexpected)} differences: " + "; ".join(
        f"{one.name}: {one.words}" for one in found.unexpected[:5]
    )
    figures.update(
        objects=found.objects, files=found.files, values=found.values, expected=len(found.expected)
    )
