"""The name server that the checks are to a domain controller, over the loopback."""

import socket

import dns.exception
import dns.message
import dns.query
import pytest
from dns.flags import TC

from verify.check import Blocked
from verify.clients import upstream

HERE = "127.0.0.1"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket() as free:
        free.bind((HERE, 0))
        number = int(free.getsockname()[1])
    monkeypatch.setattr(upstream, "_PORT", number)
    return number


def test_it_answers_what_it_knows_and_keeps_what_it_was_asked(port: int) -> None:
    with upstream.upstream(HERE) as own:
        known = dns.query.udp(dns.message.make_query(upstream.WEB.upper(), "A"), HERE, port=port, timeout=5)
        other = dns.query.udp(dns.message.make_query("none.x", "A"), HERE, port=port, timeout=5)
    assert [str(record) for record in known.answer[0]] == [upstream.ADDRESS]
    assert (other.rcode().name, other.answer) == ("NXDOMAIN", [])
    assert own.asked == [upstream.WEB, "none.x"]


@pytest.mark.parametrize("payload", [0, 4096])
def test_a_long_answer_is_truncated_and_whole_by_tcp(port: int, payload: int) -> None:
    query = dns.message.make_query(upstream.MAIL, "TXT", use_edns=bool(payload), payload=payload)
    with upstream.upstream(HERE):
        short = dns.query.udp(query, HERE, port=port, timeout=5)
        whole = dns.query.tcp(query, HERE, port=port, timeout=5)
    assert (bool(short.flags & TC), short.answer) == (True, [])
    assert len(whole.answer[0]) == len(upstream.LONG)


def test_a_mute_name_gets_no_answer(port: int) -> None:
    with upstream.upstream(HERE) as own, pytest.raises(dns.exception.Timeout):
        dns.query.udp(dns.message.make_query(upstream.MUTE, "A"), HERE, port=port, timeout=0.3)
    assert own.asked == [upstream.MUTE]


def test_its_port_is_free_again_and_one_that_is_taken_blocks(port: int) -> None:
    for _ in range(2):
        with upstream.upstream(HERE):
            pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HERE, port))
        with pytest.raises(Blocked, match=f"port {port}"), upstream.upstream(HERE):
            pass
