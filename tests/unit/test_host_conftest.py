"""The guard that keeps unit tests from running the real thing does its work."""

import socket

import pytest

from galaxy.host.process import run


@pytest.mark.parametrize("program", ["mount", "/usr/bin/apt-get", "runc", "ip"])
def test_a_real_program_is_refused(program: str) -> None:
    with pytest.raises(AssertionError, match="fake_bin"):
        run([program, "--version"])


def test_a_connection_to_elsewhere_is_refused() -> None:
    with socket.socket() as sock, pytest.raises(AssertionError, match="connect"):
        sock.connect(("192.0.2.1", 80))


def test_a_fake_program_is_called_and_remembers_its_arguments(fake_bin) -> None:
    fake_bin("mount", "echo mounted; exit 3")
    done = run(["mount", "-o", "ro loop", ""], check=False)
    assert (done.returncode, done.stdout) == (3, "mounted\n")
    assert fake_bin.calls("mount") == [["-o", "ro loop", ""]]
