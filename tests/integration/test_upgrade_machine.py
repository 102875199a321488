"""Random sequences of what people and accidents do to a server, against a model of what must be there.

`GALAXY_HYPOTHESIS=long` tries many long ones, each time others; otherwise there is one, in which each rule is met.
"""

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RULE_MARKER,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from galaxy.build import BuildRequest
from galaxy.host.errors import GalaxyError, InputError
from galaxy.host.recovery import recover
from galaxy.image.make import make_image
from galaxy.server import lifecycle
from galaxy.server.kept import find_snapshot, snapshots
from galaxy.server.restore import restore
from galaxy.server.snapshot import snapshot
from galaxy.upgrade import rollback as rollback_module
from galaxy.upgrade import upgrade as upgrade_module
from galaxy.upgrade.aftermath import Aftermath
from galaxy.upgrade.plan import UpgradeRequest
from scenarios.endurance.forked import die, forked
from scenarios.endurance.ground import NAME, prepared
from scenarios.endurance.leftovers import leftovers
from scenarios.endurance.points import watch
from scenarios.endurance.scribe import (
    CONTAINER,
    FOLDER,
    add_file,
    add_user,
    contents_of,
    dn_of,
    ldap_session,
    password_of,
    sysvol,
)

LONG = os.environ.get("GALAXY_HYPOTHESIS") == "long"
PROFILE = settings(
    max_examples=30,
    stateful_step_count=30,
    database=None,
    deadline=None,
    phases=(Phase.generate,),  # to shrink a sequence would take an hour; it is printed as it is
    suppress_health_check=list(HealthCheck),
)
# More than any upgrade passes: a kill at a boundary that never comes is no kill.
BOUNDARIES = 140


class Machine(RuleBasedStateMachine):
    """One server. The model: its accounts and files, its image, its state, and what each snapshot holds."""

    ground = None

    @initialize()
    def begin(self) -> None:
        shutil.rmtree(self.ground.server.snapshots, ignore_errors=True)
        self.ground.reset()
        self.image, self.state = self.ground.old.id, "running"
        self.users, self.files = frozenset(), frozenset()
        self.snapshots, self.count = {}, 0

    def running(self) -> bool:
        return self.state == "running"

    @precondition(running)
    @rule(how_many=st.integers(1, 4))
    def write(self, how_many) -> None:
        target = self.ground.target()
        names = [f"m{self.count + number}" for number in range(how_many)]
        self.count += how_many
        with ldap_session(target) as session, sysvol(target) as share:
            for name in names:
                add_user(session, target, name)
                self.users |= {name}
                add_file(share, name)
                self.files |= {name}

    @precondition(lambda self: not self.running())
    @rule()
    def start(self) -> None:
        lifecycle.start(self.ground.server, self.ground.settings)
        self.state = "running"

    @precondition(lambda self: self.state != "stopped")
    @rule()
    def stop(self) -> None:
        lifecycle.stop(self.ground.server, self.ground.settings)
        self.state = "stopped"

    @precondition(running)
    @rule()
    def kill(self) -> None:
        lifecycle.kill(self.ground.server)
        self.state = "ended"

    @precondition(lambda self: self.image == self.ground.old.id and self.state != "ended")
    @rule()
    def upgrade(self) -> None:
        self._upgrade()
        self._upgraded()

    @precondition(lambda self: self.image == self.ground.old.id and self.state != "ended")
    @rule(boundary=st.integers(1, BOUNDARIES))
    def upgrade_that_is_killed(self, boundary) -> None:
        def work() -> None:
            passed: list[str] = []

            def die_at(name: str) -> None:
                passed.append(name)
                if len(passed) == boundary:
                    die()

            watch(die_at)
            self._upgrade()

        ended = forked(work, log=self.ground.folder / "galaxy.log")
        assert ended.killed or ended.code == 0, (self.ground.folder / "galaxy.log").read_text()[-2000:]
        recover(self.ground.store)
        if self.ground.server.config.image_id == self.ground.new.id:
            self._upgraded()

    @precondition(lambda self: self.image == self.ground.new.id and self.state != "ended")
    @rule()
    def roll_back(self) -> None:
        """By the snapshot; what is lost by it is lost by agreement. Refused when no upgrade leads to this image."""
        store = self.ground.store
        request = rollback_module.RollbackRequest(name=NAME, way=rollback_module.Way.SNAPSHOT)
        try:
            plan = rollback_module.planned(store, request)
        except InputError as error:
            if "has not been upgraded to" not in error.message:
                raise
            return
        done = rollback_module.rollback(
            store, self.ground.settings, request, show=lambda _plan: None, confirm=lambda _offer: True
        )
        self.snapshots[done.kept] = self._now()
        self._take(plan.snapshot)
        self.state = "running"

    @rule()
    def keep(self) -> None:
        self.snapshots[snapshot(self.ground.server).id] = self._now()

    @precondition(lambda self: self.snapshots)
    @rule(which=st.integers(0, 20))
    def restore(self, which) -> None:
        wanted = sorted(self.snapshots)[which % len(self.snapshots)]
        server = self.ground.server
        done = restore(server, find_snapshot(server, wanted), self.ground.settings)
        self.snapshots[done.kept.id] = self._now()
        self._take(wanted)
        if not self.running():
            self.state = "stopped"

    @invariant()
    def the_server_is_what_it_must_be(self) -> None:
        server = self.ground.server
        assert lifecycle.status(server).state == self.state
        assert server.config.image_id == self.image
        assert {one.id for one in snapshots(server)} == set(self.snapshots)
        assert leftovers(server) == [] or self.state == "ended"

    @precondition(running)
    @invariant()
    def everything_is_there_and_nothing_else(self) -> None:
        target = self.ground.target()
        with ldap_session(target) as session:
            found = session.search(f"{CONTAINER},{target.base_dn}", "(objectClass=user)", ["cn"])
        assert {entry.one("cn") for entry in found} == self.users
        for name in random.Random(self.count).sample(sorted(self.users), min(2, len(self.users))):
            with ldap_session(target, dn_of(target, name), password_of(name)):
                pass  # the bind is the proof
        share = self.ground.server.state / "sysvol" / FOLDER
        assert {path.name: path.read_bytes() for path in share.iterdir()} == {
            name: contents_of(name) for name in self.files
        }

    def _now(self):
        return self.image, self.users, self.files

    def _take(self, name) -> None:
        self.image, self.users, self.files = self.snapshots[name]

    def _upgrade(self) -> None:
        request = UpgradeRequest(name=NAME, ref=self.ground.new.id, rehearsal=False)
        upgrade_module.upgrade(self.ground.store, self.ground.settings, request)

    def _upgraded(self) -> None:
        (made,) = {one.id for one in snapshots(self.ground.server)} - set(self.snapshots)
        self.snapshots[made] = self._now()
        self.image = self.ground.new.id


@pytest.fixture
def machine(image, store, settings, monkeypatch):
    newer = make_image(store, settings, BuildRequest(version="4.22.11", packages=True))
    # The smoke tier has its own tests, and would take most of the time here.
    for module in (upgrade_module, rollback_module):
        monkeypatch.setattr(
            module, "look_after", lambda _server, _known=(): Aftermath(checks=None, why="not here")
        )
    with (
        TemporaryDirectory(prefix="galaxy-machine-", dir="/var/tmp", ignore_cleanup_errors=True) as folder,
        prepared(
            Path(folder), store, (image.id, newer.id), address="10.219.9.2", seed=1, settings=settings
        ) as ground,
    ):
        yield type("Machine", (Machine,), {"ground": ground})
        with suppress(GalaxyError):
            recover(ground.store)


# What hypothesis tries first is the simplest, and would take snapshots only.
SEQUENCE: tuple[tuple[str, dict[str, int]], ...] = (
    ("write", {"how_many": 2}),
    ("keep", {}),
    ("upgrade", {}),
    ("write", {"how_many": 1}),
    ("roll_back", {}),
    ("kill", {}),
    ("start", {}),
    ("write", {"how_many": 1}),
    ("upgrade_that_is_killed", {"boundary": 25}),
    ("stop", {}),
    ("restore", {"which": 0}),
    ("start", {}),
    ("upgrade_that_is_killed", {"boundary": 3}),
    ("write", {"how_many": 1}),
    ("restore", {"which": 1}),
)


def test_any_sequence_leaves_what_the_model_says(machine) -> None:
    if LONG:
        run_state_machine_as_test(machine, settings=PROFILE)
        return
    rules = {name for name, one in vars(Machine).items() if hasattr(one, RULE_MARKER)}
    assert {name for name, _ in SEQUENCE} == rules, "a rule is never met"
    one = machine()
    one.begin()
    for name, values in SEQUENCE:
        if name == "upgrade_that_is_killed" and one.image == one.ground.new.id:
            one.roll_back()
        getattr(one, name)(**values)
        one.the_server_is_what_it_must_be()
        if one.running():
            one.everything_is_there_and_nothing_else()
