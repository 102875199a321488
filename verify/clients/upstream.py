"""A name server for what is outside the domain, on this host: what a domain controller's forwarder is to it."""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from verify.check import Blocked

_PORT = 53
# By UDP goes what the client takes (RFC 6891), 512 bytes at least; by TCP all, its length in two bytes before it
# (RFC 1035, 4.2.1 and 4.2.2).
_UDP_BYTES = 512
_TCP_BYTES = 0xFFFF
_LENGTH = struct.Struct("!H")
# Seconds until a thread sees that it shall end.
_LOOK = 0.05
_PATIENCE = 5.0
# A domain outside: a name with an address, one with more than a UDP answer takes, as mail domains' policies and keys
# often are, and one whose question gets no answer.
ZONE = "outside.galaxy.test"
WEB, ADDRESS = f"www.{ZONE}", "192.0.2.80"
MAIL, LONG = f"mail.{ZONE}", tuple(f'"part {number} {"x" * 200}"' for number in range(20))
MUTE = f"mute.{ZONE}"
_RECORDS = {(WEB, "A"): (ADDRESS,), (MAIL, "TXT"): LONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Knows the domain outside, and says NXDOMAIN to all else. `asked` are the names it was asked for, in order."""

    asked: list[str] = field(default_factory=list)

    def reply(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The answer to a query, truncated when it has more bytes than may come; None for no answer."""
        query = dns.message.from_wire(wire)
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(name)
        if name == MUTE:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        texts = _RECORDS.get((name, kind))
        if texts is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        whole = answer.to_wire(max_size=_TCP_BYTES)
        if tcp or len(whole) <= max(_UDP_BYTES, query.payload):
            return whole
        answer.answer.clear()
        answer.flags |= dns.flags.TC
        return answer.to_wire()


class _Datagram(socketserver.BaseRequestHandler):
    server: "_Udp"

    def handle(self) -> None:
        wire, own = self.request
        if (reply := self.server.upstream.reply(wire, tcp=False)) is not None:
            own.sendto(reply, self.client_address)


class _Stream(socketserver.StreamRequestHandler):
    server: "_Tcp"
    timeout = _PATIENCE

    def handle(self) -> None:
        (length,) = _LENGTH.unpack(self.rfile.read(_LENGTH.size))
        if (reply := self.server.upstream.reply(self.rfile.read(length), tcp=True)) is not None:
            self.wfile.write(_LENGTH.pack(len(reply)) + reply)


class _Udp(socketserver.UDPServer):
    upstream: Upstream


class _Tcp(socketserver.TCPServer):
    allow_reuse_address = True
    upstream: Upstream


@contextmanager
def upstream(address: str) -> Iterator[Upstream]:
    """Be the name server of an address of this host for the block; Blocked when another has its port."""
    own, place = Upstream(), (address, _PORT)
    with ExitStack() as stack:
        try:
            udp = stack.enter_context(_Udp(place, _Datagram))
            tcp = stack.enter_context(_Tcp(place, _Stream))
        except OSError as error:
            raise Blocked(
                f"port {_PORT} of {address} is not to be had here: {error.strerror}; "
                "where others answer there, leave the target's `forwarder` out"
            ) from None
        udp.upstream = tcp.upstream = own
        stack.enter_context(_served(udp))
        stack.enter_context(_served(tcp))
        yield own


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
