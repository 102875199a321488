"""One server from creation to removal, through the command line, as an administrator sees it."""

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from galaxy.server import running
from galaxy.server.config import load


@pytest.fixture(scope="module")
def dc(machine):
    answer = machine.create("dc1", "--address", machine.addresses[0])
    assert answer.code == 0, answer.err
    answer = machine.galaxy("start", "dc1")
    assert answer.code == 0, answer.err
    assert "ready in" in answer.out
    yield machine
    assert machine.galaxy("rm", "dc1", "--force").code == 0
    remains = machine.remains()
    assert remains.pop("links") == ["lan0", "lo"]
    assert not any(remains.values()), remains


def test_all_four_services_answer(dc):
    status = dc.status("dc1")
    assert status["state"] == "running"
    assert status["services"] == dict.fromkeys(("ldap", "smb", "kerberos", "dns"), "answers")
    assert status["processes"] > 10


def test_only_root_reads_the_folder_and_the_password(dc):
    folder = dc.folder("dc1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secrets" / "admin-password").stat().st_mode) == 0o600
    assert len((folder / "secrets" / "admin-password").read_text().strip()) >= 16


def test_the_password_is_the_administrators(dc):
    word = (dc.folder("dc1") / "secrets" / "admin-password").read_text().strip()
    script = f"printf 'username=Administrator\\npassword=%s\\n' '{word}' >/tmp/auth && smbclient -A /tmp/auth -L dc1"
    answer = dc.galaxy("exec", "dc1", "--", "sh", "-c", script)
    assert answer.code == 0, answer.err
    assert "sysvol" in answer.out


def test_exec_passes_the_exit_code(dc):
    assert dc.galaxy("exec", "dc1", "--", "sh", "-c", "exit 7").code == 7


@pytest.mark.parametrize("process", ["self", "1"])
def test_processes_are_confined(dc, process):
    """The server's own ones, and what exec starts."""
    script = f"while read -r key value; do echo $key $value; done </proc/{process}/status"
    lines = dc.galaxy("exec", "dc1", "--", "sh", "-c", script).out.splitlines()
    status = dict(line.partition(" ")[::2] for line in lines)
    assert status["NoNewPrivs:"] == "1"
    capabilities = int(status["CapEff:"], 16)
    for number, name in {
        12: "NET_ADMIN",
        13: "NET_RAW",
        16: "SYS_MODULE",
        19: "SYS_PTRACE",
        27: "MKNOD",
    }.items():
        assert not capabilities >> number & 1, name
    if process == "1":
        assert status["Seccomp:"] == "2"


@pytest.mark.parametrize(
    "place",
    ["/usr/lib/new", "/etc/passwd", "/etc/resolv.conf", "/proc/sys/kernel/panic", "/proc/sysrq-trigger"],
)
def test_the_root_is_read_only(dc, place):
    assert dc.galaxy("exec", "dc1", "--", "sh", "-c", f"echo x >>{place}").code != 0


def test_dynamic_dns_works_inside(dc):
    answer = dc.galaxy("exec", "dc1", "--", "samba_dnsupdate", "--use-samba-tool", "--verbose")
    assert answer.code == 0, answer.out + answer.err


def test_ntacls_are_kept_where_the_kernel_keeps_them(dc):
    answer = dc.galaxy("exec", "dc1", "--", "samba-tool", "ntacl", "sysvolcheck")
    assert answer.code == 0, answer.err
    sysvol = dc.folder("dc1") / "state" / "sysvol"
    assert "security.NTACL" in os.listxattr(sysvol)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("start", "dc1"), "dc1 is running already"),
        (("rm", "dc1"), "dc1 is running"),
        (("stop", "dc9"), "there is no server dc9"),
        (
            ("create", "dc1", "--image", "{image}", "--realm", "X.Y", "--allow-uncertified"),
            "there is a server dc1 already",
        ),
    ],
)
def test_wrong_use_is_told(dc, words, says):
    answer = dc.galaxy(*(word.format(image=dc.image.id) for word in words))
    assert answer.code == 2
    assert says in answer.err


def test_an_address_is_one_servers_alone(dc):
    answer = dc.create("dc2", "--address", dc.addresses[0], realm="B.EXAMPLE.ORG")
    assert answer.code == 2
    assert "is the address of the server dc1" in answer.err


def test_killed_it_is_seen_and_starts_again(dc):
    dc.kill("dc1")
    _until(lambda: dc.status("dc1")["state"] == "ended", "the end of dc1")
    assert "killed" in dc.status("dc1")["why"]
    answer = dc.galaxy("restart", "dc1")
    assert answer.code == 0, answer.err
    assert dc.status("dc1")["state"] == "running"


def test_killed_it_can_be_stopped_too(dc):
    dc.kill("dc1")
    _until(lambda: dc.status("dc1")["state"] == "ended", "the end of dc1")
    answer = dc.galaxy("stop", "dc1")
    assert (answer.code, "had ended already" in answer.out) == (0, True), answer.err
    assert dc.status("dc1")["state"] == "stopped"
    answer = dc.galaxy("start", "dc1")
    assert answer.code == 0, answer.err


def test_stop_and_start_keep_the_state(dc):
    assert dc.galaxy("exec", "dc1", "--", "samba-tool", "group", "add", "kept").code == 0
    assert dc.galaxy("stop", "dc1").code == 0
    assert dc.status("dc1")["state"] == "stopped"
    remains = dc.remains()
    assert not remains["processes"], remains
    assert not remains["containers"], remains
    answer = dc.galaxy("start", "dc1")
    assert answer.code == 0, answer.err
    assert "kept" in dc.galaxy("exec", "dc1", "--", "samba-tool", "group", "list").out.splitlines()


def test_it_is_not_ready_while_nobody_can_log_on(dc):
    """SMB answers already when winbindd still begins, and each logon fails until it is there."""
    assert dc.galaxy("stop", "dc1").code == 0
    starting = dc.begin("start", "dc1")
    try:
        _until(lambda: _winbindd(dc), "winbindd")
        os.kill(winbindd := _winbindd(dc)[0], signal.SIGSTOP)
        _until(lambda: dc.status("dc1")["services"]["ldap"] == "answers", "LDAP")
        time.sleep(2)
        assert starting.poll() is None, starting.communicate()
        assert "nobody can log on" in dc.status("dc1")["services"]["smb"]
    finally:
        os.kill(winbindd, signal.SIGCONT)
    out, err = starting.communicate(timeout=60)
    assert (starting.returncode, "ready in" in out) == (0, True), err
    test_the_password_is_the_administrators(dc)


def _winbindd(dc):
    record = running.recorded(load(dc.store, "dc1"))
    found = [] if record is None else running.processes(record)
    return [pid for pid in found if Path(f"/proc/{pid}/comm").read_text().strip() == "winbindd"]


def test_logs_show_what_samba_wrote(dc):
    answer = dc.galaxy("logs", "dc1")
    assert "==> log.samba <==" in answer.out
    assert "started." in answer.out


def test_a_failed_start_tells_the_logs_reason_and_leaves_it_stopped(dc):
    assert dc.galaxy("stop", "dc1").code == 0
    config = dc.folder("dc1") / "etc" / "smb.conf"
    good = config.read_text()
    config.write_text(good.replace("[global]", "[global]\n\tserver services = +nonsense"))
    try:
        answer = dc.galaxy("start", "dc1")
    finally:
        config.write_text(good)
    assert answer.code == 5
    assert "nonsense" in answer.err
    assert dc.status("dc1")["state"] == "stopped"
    assert not dc.remains()["processes"]
    assert dc.galaxy("start", "dc1").code == 0


HARDENED = """
	server min protocol = SMB3_11
	server smb encrypt = required
	server smb3 signing algorithms = AES-128-GMAC
	server smb3 encryption algorithms = AES-256-GCM
	ntlm auth = disabled
	restrict anonymous = 2
	tls priority = SECURE256:-VERS-ALL:+VERS-TLS1.3
"""


def test_a_hardened_server_is_ready_too(dc):
    """It speaks the newest dialect only, and knows neither NTLM nor anonymous sessions."""
    config = dc.folder("dc1") / "etc" / "smb.conf"
    good = config.read_text()
    config.write_text(good.replace("[global]", f"[global]{HARDENED}"))
    try:
        answer = dc.galaxy("restart", "dc1")
        assert answer.code == 0, answer.err
        assert set(dc.status("dc1")["services"].values()) == {"answers"}
    finally:
        config.write_text(good)
        assert dc.galaxy("restart", "dc1").code == 0


def test_what_a_full_disk_has_left_of_a_start_is_in_nobodys_way(dc):
    assert dc.galaxy("stop", "dc1").code == 0
    (dc.folder("dc1") / "bundle" / ".pid").touch()
    answer = dc.galaxy("start", "dc1")
    assert answer.code == 0, answer.err


def _until(condition, what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def test_the_host_has_no_mount_of_the_server(dc):
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    assert not [line for line in lines if str(dc.store.servers) in line]
