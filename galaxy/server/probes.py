"""Asking each service of a DC its question, once. A probe returns when the answer is right, and raises otherwise."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from galaxy.host.netns import CLIENT_PORTS
from galaxy.server.config import ServerConfig
from galaxy.server.questions import QUESTIONS, NoAnswerError, Question

# An answer that takes longer than this, in seconds, is asked for again.
_PATIENCE = 2.0
# Linux 6.3 and newer: the ports that a socket may begin at (ip(7)).
_IP_LOCAL_PORT_RANGE = 51


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
    return _connected(socket.SOCK_STREAM, address, port)


def _udp(address: str, port: int) -> socket.socket:
    return _connected(socket.SOCK_DGRAM, address, port)


def _connected(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """A connection that begins at none of the ports that the DC, which may be starting just now, will listen on."""
    connection = socket.socket(socket.AF_INET, kind)
    try:
        with suppress(OSError):  # an older kernel
            span = struct.pack("=I", CLIENT_PORTS[1] << 16 | CLIENT_PORTS[0])
            connection.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, span)
        connection.settimeout(_PATIENCE)
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection
