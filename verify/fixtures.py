"""The fixtures of the checks. All are cheap: what costs something lives in the place's bench."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from verify.bench import Bench, bench_for
from verify.check import Blocked, NotApplicable
from verify.expected import EXPECTED
from verify.place import NOWHERE_ELSE, Place
from verify.record import hide
from verify.target import Shell, Target

if TYPE_CHECKING:  # as in verify.bench
    from verify.clients.dns import Dns
    from verify.clients.kerberos import Kerberos
    from verify.clients.ldap import Ldap

TARGET = pytest.StashKey[Target]()
_VERSIONED = pytest.StashKey[Target]()


@pytest.fixture(autouse=True)
def place(request: pytest.FixtureRequest) -> Place:
    """The cell and checkpoint of this item; plugins that have cells parametrise it indirectly."""
    found = getattr(request, "param", NOWHERE_ELSE)
    assert isinstance(found, Place)
    return found


@pytest.fixture
def target(request: pytest.FixtureRequest, place: Place) -> Target:
    """The server to check, as it is at this place."""
    node: pytest.Item = request.node
    found: Target | None = node.config.hook.pytest_galaxy_target(item=node, place=place)
    if found is None:
        raise Blocked("there is no server to check: give --target FILE.toml")
    found = found if found.version is not None else _with_version(node.config, found)
    hide(node.config, found.password)
    node.config.stash[EXPECTED].version = found.version
    if not found.ntlm:
        bench_for(node.config, place, found)  # libkrb5 has to know the KDC before any client logs on
    return found


@pytest.fixture
def bench(request: pytest.FixtureRequest, place: Place, target: Target) -> Bench:
    """What the checks of this place share; test accounts come from it."""
    return bench_for(request.node.config, place, target)


@pytest.fixture
def ldap(bench: Bench) -> "Ldap":
    """LDAP sessions."""
    return bench.ldap


@pytest.fixture
def kerberos(bench: Bench) -> "Kerberos":
    """kinit, kvno and friends."""
    return bench.kerberos


@pytest.fixture
def dns(bench: Bench) -> "Dns":
    """DNS queries and updates."""
    return bench.dns


@pytest.fixture
def shell(target: Target) -> Shell:
    """Commands inside the server; not applicable to a target without a way in."""
    if target.shell is None:
        raise NotApplicable("needs a shell inside the server, and the target has none")
    return target.shell


def _with_version(config: pytest.Config, target: Target) -> Target:
    """The target with the version that its server tells, asked once; None stays for other vendors."""
    known = config.stash.get(_VERSIONED, None)
    if known is None or replace(known, version=None) != target:
        from verify.clients.ldap import samba_version  # noqa: PLC0415 - see above

        known = replace(target, version=samba_version(target.address))
        config.stash[_VERSIONED] = known
    return known
