"""How the outage probe counts: against services of this test's own, on loopback."""

import socket
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest

from galaxy.server.config import ServerConfig
from galaxy.server.questions import QUESTIONS, NoAnswerError, Question
from galaxy.upgrade.asking import Asking
from galaxy.upgrade.outage import _outage

CONFIG = ServerConfig(
    name="dc1", image_id="x", realm="AD.EXAMPLE.ORG", domain="AD", hostname="dc1", address="127.0.0.1",
    created=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def is_yes(_config, _packet, data):
    if data == b"no":
        raise NoAnswerError("no")
    return data == b"yes"


@pytest.fixture
def services(monkeypatch):
    """`services(tcp port, udp port)`: the questions go there, and `yes` is right."""

    def point(tcp, udp):
        for name, question in list(QUESTIONS.items()):
            port = tcp if question.transport == "tcp" else udp
            asked = Question(
                transport=question.transport, port=port, packet=lambda _: b"well?", answered=is_yes
            )
            monkeypatch.setitem(QUESTIONS, name, asked)

    return point


@contextmanager
def serving(answer=b"yes", port=0, silent=lambda: False):
    """A TCP and a UDP service on one port; without an answer, the TCP one closes and the UDP one says nothing."""
    with socket.create_server(("127.0.0.1", port)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())
        over = threading.Event()

        def streams():
            while not over.is_set():
                connection, _ = tcp.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(answer)

        def datagrams():
            while not over.is_set():
                _, peer = udp.recvfrom(100)
                if answer and not silent():
                    udp.sendto(answer, peer)

        threads = [threading.Thread(target=one, daemon=True) for one in (streams, datagrams)]
        for thread in threads:
            thread.start()
        yield tcp.getsockname()[1]
        over.set()
        socket.create_connection(tcp.getsockname()).close()
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", udp.getsockname())
        for thread in threads:
            thread.join()


def ask(seconds, patience=5.0, then=None, enough=0):
    """Ask for so long, and until each service has been asked often enough: a busy machine needs more time."""
    with closing(Asking(CONFIG, patience=patience)) as asking:
        over = time.monotonic() + seconds

        def asked():
            ended = (tally.good + sum(tally.bad.values()) for tally in asking.tallies.values())
            return time.monotonic() > over and all(count >= enough for count in ended)

        asking.until(asked, over + 30)
        if then:
            then(asking)
        return {name: _outage(tally) for name, tally in asking.tallies.items()}


def test_an_undisturbed_service_is_answered_at_the_pace_of_the_questions(services):
    with serving() as port:
        services(port, port)
        began, late = time.monotonic(), []
        seen = ask(0.5, enough=10, then=lambda asking: late.append(asking.late * 1000))
        most = (time.monotonic() - began) / 0.02 + 1
    for outage in seen.values():
        assert 10 <= outage.good <= outage.attempts <= most
        assert outage.longest_ms < 250 + late[0]
        assert (outage.refused, outage.cut, outage.timeouts, outage.wrong) == (0, 0, 0, 0)


def test_a_service_that_is_not_there_refuses(services):
    with serving() as port:
        pass
    services(port, port)
    for outage in ask(0.3, enough=5).values():
        assert outage.good == 0
        assert outage.refused >= 5
        assert outage.longest_ms >= 300


def test_connections_that_are_closed_are_cut_and_datagrams_that_are_lost_time_out(services):
    with serving(answer=b"") as port:
        services(port, port)
        seen = ask(0.5, patience=0.2, enough=5)
    assert seen["ldap"].cut >= 5
    assert seen["dns"].timeouts >= 5
    assert seen["dns"].refused == seen["ldap"].timeouts == 0


def test_a_wrong_answer_is_no_good_one(services):
    with serving(answer=b"no") as port:
        services(port, port)
        for outage in ask(0.3, enough=5).values():
            assert outage.good == 0
            assert outage.wrong >= 5


def test_an_outage_is_as_long_as_the_service_was_away(services):
    turns, late = [], []  # when it went and came back: a busy machine is late with both
    with serving(silent=lambda: len(turns) == 1) as port:
        services(port, port)
        timers = [threading.Timer(after, lambda: turns.append(time.monotonic())) for after in (0.2, 0.6)]
        for timer in timers:
            timer.start()
        seen = ask(0.9, then=lambda asking: late.append(asking.late * 1000))
        for timer in timers:
            timer.join()
    away = (turns[1] - turns[0]) * 1000
    assert 380 <= seen["dns"].longest_ms < away + 300 + late[0]
    assert seen["ldap"].longest_ms < 300 + late[0]


def test_what_was_begun_before_counts_for_nobody(services):
    with serving() as port:
        services(port, port)
        seen = ask(0.2, then=lambda asking: asking.forget())
    assert {outage.attempts for outage in seen.values()} == {0}
