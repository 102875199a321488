"""Whether there is a domain controller at an address at all."""

import socket
from concurrent.futures import ThreadPoolExecutor

# What every domain controller listens on (TCP): LDAP, SMB, Kerberos, DNS.
_PORTS = {389: "LDAP", 445: "SMB", 88: "Kerberos", 53: "DNS"}
_SECONDS = 5.0


def silence(address: str) -> str:
    """Why nothing answers at an address, in a line; "" as soon as one of a DC's services takes a connection."""
    with ThreadPoolExecutor(len(_PORTS)) as pool:
        refusals = dict(zip(_PORTS, pool.map(lambda port: _refusal(address, port), _PORTS), strict=True))
    if not all(refusals.values()):
        return ""
    each = ", ".join(f"{name} ({refusals[port]})" for port, name in _PORTS.items())
    return f"no domain controller answers at {address}: {each}"


def _refusal(address: str, port: int) -> str:
    try:
        socket.create_connection((address, port), _SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
