"""Files that stay in memory: mapped by a process, for as long as somebody wants it."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from galaxy.image.resident import hold, resident


@pytest.fixture
def root(tmp_path):
    """What an image may have in it."""
    tree = tmp_path / "root"
    (tree / "lib").mkdir(parents=True)
    (tree / "lib" / "module.pyc").write_bytes(b"x" * 10_000)
    (tree / "empty").touch()
    (tree / "link").symlink_to("lib/module.pyc")
    (tree / "nowhere").symlink_to("/no/such/file")
    os.mkfifo(tree / "pipe")
    return tree


def mapped(pid, file):
    return str(file) in Path(f"/proc/{pid}/maps").read_text()


def test_every_file_with_something_in_it_is_mapped_until_the_stack_ends(root):
    with ExitStack() as stack:
        assert hold(root, stack) == 1
        assert mapped("self", root / "lib" / "module.pyc")
    assert not mapped("self", root / "lib" / "module.pyc")


def test_a_process_holds_them_for_the_block(root, tmp_path):
    log = tmp_path / "log"
    with resident([root], log) as pid:
        deadline = time.monotonic() + 30
        while not mapped(pid, root / "lib" / "module.pyc"):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()
    assert log.read_text() == ""
