"""DNS by dnspython, and secure updates by BIND's nsupdate."""

import socket

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update
from dns.message import Message

from galaxy.host.process import Completed
from verify.clients.kerberos import Kerberos
from verify.target import Target

_PATIENCE = 10.0
_PORT = 53


class Dns:
    """Asks the target's own server, never the host's resolver."""

    def __init__(self, target: Target, kerberos: Kerberos) -> None:
        self._target = target
        self._kerberos = kerberos
        self.zone = target.dns_domain

    def ask(self, name: str, kind: str, *, tcp: bool = False, edns: int | None = None) -> Message:
        """One query; `edns` is the payload size of an EDNS query, None for plain DNS."""
        query = dns.message.make_query(name, kind, use_edns=edns is not None, payload=edns or 0)
        return self.send(query, tcp=tcp)

    def send(self, message: Message, *, tcp: bool = False) -> Message:
        """Send any message to the target."""
        how = dns.query.tcp if tcp else dns.query.udp
        return how(message, self._target.address, timeout=_PATIENCE)

    def send_only(self, name: str, kind: str) -> None:
        """Send one query by UDP, and do not wait for the answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(dns.message.make_query(name, kind).to_wire(), (self._target.address, _PORT))

    def texts(self, name: str, kind: str) -> list[str]:
        """The records of that name and type in presentation form; [] when the server says that there are none."""
        answer = self.ask(name, kind)
        assert rcode(answer) in {"NOERROR", "NXDOMAIN"}, f"{name} {kind}: {rcode(answer)}"
        wanted = dns.rdatatype.from_text(kind)
        return sorted(str(record) for group in answer.answer if group.rdtype == wanted for record in group)

    def secure_update(self, *commands: str, cache: str = "") -> Completed:
        """Update with GSS-TSIG (nsupdate -g) as the administrator, or as whose cache is given."""
        script = "\n".join([f"server {self._target.address}", f"zone {self.zone}", *commands, "send", ""])
        return self._kerberos.run("nsupdate", "-g", cache=cache or self._kerberos.admin, stdin=script)


def records(message: Message) -> list[str]:
    """All records of the answer section, in presentation form."""
    return [str(record) for group in message.answer for record in group]


def rcode(message: Message) -> str:
    """The response code by name: NOERROR, NXDOMAIN, REFUSED."""
    return dns.rcode.to_text(message.rcode())
