"""What a start adds to the administrator's smb.conf."""

import pytest

from galaxy.server.config import Server
from galaxy.server.inside import smb_conf
from galaxy.server.options import samba_options


@pytest.fixture
def options_of(tmp_path, config_with):
    """Samba's options for a server with such an smb.conf."""

    def options(text, *, registered=True):
        server = Server(store=None, config=config_with(), home=tmp_path)
        server.etc.mkdir(exist_ok=True)
        (server.etc / "smb.conf").write_text(text)
        cache = server.state / "private/dns_update_cache"
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.touch() if registered else cache.unlink(missing_ok=True)
        return [word.removeprefix("--option=") for word in samba_options(server)]

    return options


LATER_UPDATES = [
    "dns update command=/usr/bin/python3 -IS /run/galaxy/later.py /usr/sbin/samba_dnsupdate --use-samba-tool",
    "spn update command=/usr/bin/python3 -IS /run/galaxy/later.py /usr/sbin/samba_spnupdate",
]
DH = "tls dh params file=/run/galaxy/dhparams.pem"


def test_a_start_adds_what_shortens_it(config_with, options_of):
    assert options_of(smb_conf(config_with())) == [DH, *LATER_UPDATES]


def test_a_new_server_registers_itself_at_once(config_with, options_of):
    assert options_of(smb_conf(config_with()), registered=False) == [DH]


@pytest.mark.parametrize("line", ["tls dh params file = /etc/samba/own.pem", "\tTLS  DHParamsFile=x"])
def test_dh_parameters_of_ones_own_stay(line, config_with, options_of):
    assert options_of(f"{smb_conf(config_with())}\n[global]\n{line}\n") == LATER_UPDATES


def test_commands_of_ones_own_are_kept(options_of):
    text = "[global]\n# dns update command = /no\n\tspn UpdateCommand = /opt/spn -v\n"
    assert options_of(text) == [
        DH,
        LATER_UPDATES[0],
        "spn update command=/usr/bin/python3 -IS /run/galaxy/later.py /opt/spn -v",
    ]
    assert options_of("[global]\n\tdns update command = /opt/dns\n", registered=False) == [DH]


@pytest.mark.parametrize("line", ["", "\tdns update command = /usr/sbin/samba_dnsupdate\n"])
def test_nsupdate_which_no_image_has_is_not_what_registers_a_server(options_of, line):
    dns = "dns update command=/usr/sbin/samba_dnsupdate --use-samba-tool"
    assert options_of(f"[global]\n{line}", registered=False) == [DH, dns]


@pytest.mark.parametrize(
    ("registered", "waits"), [(True, "-IS /run/galaxy/later.py /usr/bin/python3 "), (False, "")]
)
def test_without_ntlm_a_server_registers_itself_by_kerberos(config_with, options_of, registered, waits):
    text = smb_conf(config_with()) + "[global]\n\tntlm auth = Disabled\n"
    (command,) = (line for line in options_of(text, registered=registered) if line.startswith("dns update"))
    program = "/usr/sbin/samba_dnsupdate --use-samba-tool"
    assert command == f"dns update command=/usr/bin/python3 {waits}-I /run/galaxy/dns_update.py {program}"


def test_a_configuration_that_includes_others_is_left_alone(config_with, options_of):
    assert options_of(f"{smb_conf(config_with())}\tinclude = /etc/samba/more.conf\n") == []
