"""Samba's log: which lines tell that a process ended by itself."""

import pytest

from verify.clients.sambalog import deaths, disasters, texts_of

_HEAD = (
    "[2026/11/27 03:05:10.360769,  0] ../../source4/samba/process_prefork.c:630(prefork_child_pipe_handler)\n"
)


@pytest.mark.parametrize(
    "line",
    [
        "  prefork_child_pipe_handler: Parent 12, Child 34 exited with status 127",
        "  prefork_child_pipe_handler: ldap: Parent 12, Child 34 exited with status 1",
        "  prefork_child_pipe_handler: Parent 12, Child 34 terminated with signal 11",
        "  prefork_child_pipe_handler: Parent 12, Child 34 terminated with signal 6",
        "  prefork_child_pipe_handler: Parent 12, Child 34 terminated, unable to get status code from tfork",
        "  standard_child_pipe_handler: Child 34 (ldap_server) terminated with signal 91",
    ],
)
def test_a_process_that_ends_in_error_is_found(line: str) -> None:
    assert deaths(f"{_HEAD}{line}\n") == [line.strip()]


@pytest.mark.parametrize(
    "line",
    [
        "  prefork_child_pipe_handler: Parent 12, Child 34 exited with status 0",
        "  prefork_child_pipe_handler: Parent 12, Child 34 terminated with signal 9",
        "  prefork_child_pipe_handler: Parent 12, Child 34 terminated with signal 15",
        "  daemon 'samba' : Starting process...",
    ],
)
def test_what_others_end_is_no_death(line: str) -> None:
    assert deaths(f"{_HEAD}{line}\n") == []


def test_only_the_last_run_of_the_server_counts() -> None:
    died = "  prefork_child_pipe_handler: Parent 1, Child 2 exited with status 1\n"
    assert deaths(f"{died}  samba version 4.22.11 started.\n  all is well\n") == []
    assert len(deaths(f"  samba version 4.22.11 started.\n{died}")) == 1


def test_bugs_are_disasters() -> None:
    assert disasters("all is well\n  INTERNAL ERROR: Signal 11 in pid 7\n") == [
        "INTERNAL ERROR: Signal 11 in pid 7"
    ]


def test_logs_of_any_name_are_looked_at_and_no_cores(tmp_path):
    (tmp_path / "cores/smbd").mkdir(parents=True)
    (tmp_path / "cores/smbd/core").write_bytes(b"PANIC")
    for name in ("log.samba", "dc1.log", "console.log"):
        (tmp_path / name).write_text("all is well\n")
    assert sorted(texts_of(tmp_path)) == ["console.log", "dc1.log", "log.samba"]
