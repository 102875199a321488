"""A store with one server, and the command line on it; what tests of upgrades and ways back begin with."""

import json
import subprocess  # noqa: TID251 - tests kill the processes that they start
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import GALAXY, galaxy_run, temporary_store

from galaxy.gate.stock import stock_images
from galaxy.host.process import Completed, environment
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.server.config import load

_STEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A store with one server, dc1, made by the old version."""

    store: Store
    old: str
    new: str

    def galaxy(self, *words: str) -> Completed:
        return galaxy_run(self.store, *words, timeout=180)

    def well(self, *words: str) -> Completed:
        done = self.galaxy(*words)
        assert done.returncode == 0, done.output
        return done

    def tool(self, *words: str) -> str:
        return self.well("exec", "dc1", "--", "samba-tool", *words).stdout

    def users(self) -> set[str]:
        return set(self.tool("user", "list").split())

    def plan(self) -> dict[str, dict[str, Any]]:
        told = json.loads(self.well("rollback", "dc1", "--plan", "--json").stdout)
        return {offer["way"]: offer for offer in told["offers"]}

    def runs(self, image: str) -> bool:
        """Whether dc1 runs that image, answers, and nothing is pending."""
        told = json.loads(self.well("status", "dc1", "--json").stdout)
        answers = set(told["services"].values()) == {"answers"}
        server = load(self.store, "dc1")
        return answers and server.config.image_id == image and not server.pending.exists()

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        """A command that the test will kill."""
        return subprocess.Popen(
            [*GALAXY, *words], env=environment({"GALAXY_ROOT": str(self.store.root)}), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip


@contextmanager
def made(store: Store, settings: Settings, realm: str, address: str) -> Iterator[Site]:
    """A store of its own with the stock images and a running dc1 of the older one, with one user more."""
    old, new = stock_images(store, settings)
    with temporary_store(old) as own:
        (own.images / new.path.name).symlink_to(new.path)
        site = Site(store=own, old=old.id, new=new.id)
        create = ("create", "dc1", "--image", old.id, "--realm", realm, "--network", "private")
        site.well(*create, "--address", address)
        site.well("start", "dc1")
        site.tool("user", "create", "early", "Aa1-of-the-early")
        yield site


def until(reached: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait until a command that runs has got so far."""
    deadline = time.monotonic() + _STEP_SECONDS
    while not reached():
        if process.poll() is not None:
            _, said = process.communicate()
            raise AssertionError(f"the command ended before it could be killed: {said.decode()}")
        assert time.monotonic() < deadline, "the command did not get so far"
        time.sleep(0.002)


def bytes_of(file: Path) -> bytes:
    """What is in a file that comes and goes; nothing when it is not there."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
