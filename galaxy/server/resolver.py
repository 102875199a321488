"""The name servers that the host asks, for a DC to forward to."""

import ipaddress
from pathlib import Path

# systemd-resolved puts a stub into resolv.conf and keeps the real list here.
_FILES = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
_MOST = 3


def forwarders(own: str, files: tuple[Path, ...] = _FILES) -> tuple[str, ...]:
    """Up to three IPv4 name servers of the host, without loopback ones and the DC itself."""
    for file in files:
        if file.exists():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            words = [line.split() for line in lines if line.startswith("nameserver")]
            found = [fields[1] for fields in words if len(fields) > 1 and _usable(fields[1], own)]
            if found:
                return tuple(found[:_MOST])
    return ()


def _usable(address: str, own: str) -> bool:
    try:
        value = ipaddress.IPv4Address(address)
    except ipaddress.AddressValueError:
        return False
    return not value.is_loopback and address != own
