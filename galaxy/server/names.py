"""Names and addresses that a domain can take; each refusal says what, why and what to do."""

import ipaddress
import re

from galaxy.host.errors import InputError

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NETBIOS = re.compile(r"[A-Z0-9]([A-Z0-9_-]*[A-Z0-9])?")
# Names that Windows keeps for itself (MS-KB 909264).
_RESERVED = {
    "ANONYMOUS", "BATCH", "BUILTIN", "DIALUP", "DOMAIN", "ENTERPRISE", "INTERACTIVE", "INTERNET", "LOCAL", "NETWORK",
    "NULL", "PROXY", "RESTRICTED", "SELF", "SERVER", "SERVICE", "SYSTEM", "USERS", "WORLD", "LOCALHOST",
}  # fmt: skip


def server_name(name: str) -> str:
    """A server's name: it becomes a folder, a container and a namespace."""
    if len(name) > 32 or not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a server: 1 to 32 lower-case letters, digits and inner hyphens can",
            "Choose a name like dc1.",
        )
    return name


def host_name(name: str) -> str:
    """A host name that is a NetBIOS name too: at most 15 characters (MS-NBTE 2.2.1), not only digits."""
    if len(name) > 15 or not _NAME.fullmatch(name) or name.isdigit():
        raise InputError(
            f"{name!r} cannot be a DC's host name: 1 to 15 lower-case letters, digits and inner hyphens can, "
            "not digits alone",
            "Give one with --hostname.",
        )
    if name.upper() in _RESERVED:
        raise InputError(f"{name!r} cannot be a DC's host name: it is reserved", "Give one with --hostname.")
    return name


def realm_name(realm: str) -> str:
    """A realm: a DNS name of at least two labels; returned in upper case."""
    labels = realm.split(".")
    hint = "Give a DNS name of your own, such as --realm AD.EXAMPLE.ORG"
    if len(realm) > 155:
        raise InputError(f"the realm has {len(realm)} characters; group policies allow 155 at most", hint)
    if len(labels) < 2:
        raise InputError(
            f"{realm!r} cannot be a realm: it needs at least two labels, as in AD.EXAMPLE.ORG", hint
        )
    for label in labels:
        if len(label) > 63 or not _LABEL.fullmatch(label):
            raise InputError(
                f"{realm!r} cannot be a realm: {label!r} is not a DNS label (1 to 63 letters, digits, inner hyphens)",
                hint,
            )
    if labels[-1].isdigit():
        raise InputError(f"{realm!r} cannot be a realm: it reads like an address", hint)
    return realm.upper()


def domain_name(domain: str | None, realm: str, hostname: str) -> str:
    """The NetBIOS name of a domain, by default the realm's first label; returned in upper case."""
    name = (domain if domain is not None else realm.split(".", maxsplit=1)[0][:15].rstrip("-")).upper()
    hint = "Give one with --domain: 1 to 15 letters, digits, inner hyphens."
    if not 1 <= len(name) <= 15 or not _NETBIOS.fullmatch(name) or name.isdigit():
        raise InputError(f"{name!r} cannot be a NetBIOS domain name", hint)
    if name in _RESERVED:
        raise InputError(f"{name!r} cannot be a NetBIOS domain name: it is reserved", hint)
    if name == hostname.upper():
        raise InputError(f"the domain and the server would both be called {name} in NetBIOS", hint)
    return name


def user_name(user: str) -> str:
    """Who logs on to a domain, as in Administrator or NAME@REALM."""
    if not user or user.strip() != user or not user.isprintable():
        raise InputError(f"{user!r} cannot be a user's name", "Give one like --admin-user Administrator.")
    return user


def private_ipv4(address: str) -> str:
    """An IPv4 address that can be used inside a private network: an ordinary host's."""
    value = ipaddress.IPv4Address(ipv4(address))
    kinds = {
        "loopback": value.is_loopback,
        "link-local": value.is_link_local,
        "public": value.is_global,
        "reserved": value.is_reserved or value in ipaddress.IPv4Network("0.0.0.0/8"),
    }
    for kind, applies in kinds.items():
        if applies:
            raise InputError(
                f"{address} cannot be a server's in a private network: it is a {kind} address",
                "Leave --address out, or give one of a subnet that nothing else uses, such as 10.214.0.2.",
            )
    return str(value)


def ipv4(address: str, what: str = "address") -> str:
    """An IPv4 address that a server can have."""
    try:
        value = ipaddress.IPv4Address(address)
    except ipaddress.AddressValueError:
        raise InputError(f"{address!r} is not an IPv4 {what}", "Give one like 192.0.2.10.") from None
    if value.is_unspecified or value.is_multicast or value == ipaddress.IPv4Address("255.255.255.255"):
        raise InputError(
            f"{address} cannot be a server's {what}: it names no single host", "Give a host's own."
        )
    return str(value)
