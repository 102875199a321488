"""Data kept, with real Samba: an upgraded copy has everything, and whatever is taken away is noticed."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from spoils import OPEN, SPOILS

from galaxy.gate.stock import stock_images
from galaxy.host import netns
from galaxy.host.journal import Entry, journal
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.mount import unmount_idle
from galaxy.server.config import NamespaceNetwork, Server
from galaxy.server.create import CreateRequest, create
from galaxy.server.lifecycle import remove, start, stop
from galaxy.server.snapshot import clone
from galaxy.upgrade.compare import Comparison, compare
from galaxy.upgrade.consult import run_inside
from galaxy.upgrade.dump import dump
from galaxy.upgrade.dumpfile import DataDump
from galaxy.upgrade.expected import load_rules
from scenarios.content import Content, populate, require_logons

ADDRESS = "10.78.0.2"
USERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """A filled server, a copy of it that has run with a newer version, and the copy's data before."""

    copy: Server
    content: Content
    entry: Entry
    before: DataDump
    after: DataDump

    def again(self, name: str) -> Server:
        """Another copy of the upgraded one, to spoil."""
        home = self.copy.folder.with_name(name)
        return clone(self.entry, self.copy, home, self.copy.config.network).server

    def compared(self, copy: Server) -> Comparison:
        """What its data lack of those before."""
        return compare(self.before, dump(copy, self.entry), load_rules())


@pytest.fixture(scope="module")
def upgraded(store: Store, settings: Settings) -> Iterator[Upgraded]:
    older, newer = stock_images(store, settings)
    folder = store.root / f"tests-data-{os.getpid()}"
    folder.mkdir()
    (folder / "images").symlink_to(store.images)
    own = Store(root=folder).ensure()
    name = f"test-data-{os.getpid()}"
    try:
        with ExitStack() as stack:
            entry = stack.enter_context(journal(own, "test", "data"))
            stack.enter_context(entry.temporarily("netns", name))
            network = NamespaceNetwork(path=netns.add_namespace(name))
            netns.add_bridge("lan0", name)
            netns.add_address("lan0", ADDRESS, 24, name)
            server = _filled(own, settings, older.id, network)
            stack.callback(remove, server, settings, force=True)
            content = populate(server, users=USERS, bound=3)
            stop(server, settings)
            copy = clone(entry, server, folder / "copy", network).server
            before = dump(copy, entry)
            moved = _upgraded(copy, newer.id, settings, content)
            yield Upgraded(copy=moved, content=content, entry=entry, before=before, after=dump(moved, entry))
            for path in folder.glob("copy*"):
                shutil.rmtree(path)
    finally:
        unmount_idle(own)
        shutil.rmtree(folder)


def _filled(own: Store, settings: Settings, image: str, network: NamespaceNetwork) -> Server:
    request = CreateRequest(
        name="dc1",
        image=image,
        realm="DATA.EXAMPLE.ORG",
        domain="DATA",
        address=ADDRESS,
        network=network,
        dns_forwarders=(),
    )
    server = create(own, settings, request)
    start(server, settings)
    return server


def _upgraded(copy: Server, image: str, settings: Settings, content: Content) -> Server:
    """The copy with the newer version, which has run, been used, and stopped."""
    moved = replace(copy, config=copy.config.model_copy(update={"image_id": image}))
    start(moved, settings)
    assert require_logons(moved, content.accounts) == 6
    stop(moved, settings)
    return moved


def test_an_upgrade_keeps_everything(upgraded: Upgraded) -> None:
    comparison = compare(upgraded.before, upgraded.after, load_rules())
    assert not comparison.unexpected, "\n".join(map(str, comparison.unexpected))
    assert comparison.expected, "three accounts have logged on, and nothing tells of it"
    assert comparison.objects > 3600 + USERS
    for area in ("directory", "files", "keytabs", "secrets", "idmap", "privileges", "databases"):
        assert upgraded.before.counts[area] > 0, f"no {area} in the dump"
    assert max(upgraded.before.seconds, upgraded.after.seconds) < 120, "a small domain takes long"


def test_no_secret_is_in_a_dump(upgraded: Upgraded) -> None:
    text = upgraded.after.path.read_text(encoding="utf-8")
    for password in upgraded.content.accounts.values():
        assert password not in text
    secret = (
        "unicodePwd",
        "supplementalCredentials",
        "ntPwdHistory",
        "secret",
        "trustAuthIncoming",
        "currentValue",
    )
    seen = set()
    for line in text.splitlines():
        record = json.loads(line)
        for attribute, values in record.get("values", {}).items():
            if attribute in secret or record["area"] == "keytabs":
                seen.add(attribute)
                assert all(value.startswith("secret:") for value in values), (record["name"], attribute)
    assert {"unicodePwd", "supplementalCredentials", "secret", "currentValue", "key"} <= seen


@pytest.mark.parametrize("name", SPOILS)
def test_what_is_taken_away_is_noticed(upgraded: Upgraded, name: str) -> None:
    script, words = SPOILS[name]
    spoilt = upgraded.again(f"copy-{name}")
    try:
        done = run_inside(spoilt, ("/usr/bin/python3", "-c", OPEN + script))
        assert done.returncode == 0, done.output
        found = [str(one) for one in upgraded.compared(spoilt).unexpected]
    finally:
        shutil.rmtree(spoilt.folder)
    assert any(re.search(words, line) for line in found), "\n".join(found) or "nothing was noticed"
