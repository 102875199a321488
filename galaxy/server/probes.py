"""Asking each service of a DC its question, once. A probe returns when the answer is right, and raises otherwise."""

import socket
from collections.abc import Callable
from functools import partial

from galaxy.server.config import ServerConfig
from galaxy.server.questions import QUESTIONS, NoAnswerError, Question

# An answer that takes longer than this, in seconds, is asked for again.
_PATIENCE = 2.0


def ask(question: Question, config: ServerConfig) -> None:
    """Ask and wait. NoAnswerError, OSError, ValueError or struct.error unless the answer is right."""
    packet, data = question.packet(config), b""
    connect = _tcp if question.transport == "tcp" else _udp
    with connect(config.address, question.port) as connection:
        connection.sendall(packet)
        while not data or not question.answered(config, packet, data):
            block = connection.recv(65536)
            if not block:
                raise NoAnswerError("the connection was closed")
            data += block


PROBES: dict[str, Callable[[ServerConfig], None]] = {
    name: partial(ask, question) for name, question in QUESTIONS.items()
}


def _tcp(address: str, port: int) -> socket.socket:
    return socket.create_connection((address, port), timeout=_PATIENCE)


def _udp(address: str, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connection.settimeout(_PATIENCE)
    connection.connect((address, port))
    return connection
