"""LDAP by ldap3: sessions whose operations return values or raise the server's refusal."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import search_operation
from ldap3.utils.asn1 import decode_message_fast

from galaxy.release.version import Version, upstream_version
from verify.clients.kerberos import Kerberos
from verify.clients.sasl import Layer, gssapi_bind
from verify.target import Target

Transport = Literal["clear", "starttls", "tls"]
# (oid, criticality, value as BER or None), as ldap3 takes a control.
Control = tuple[str, bool, bytes | None]
TREE_DELETE: Control = ("1.2.840.113556.1.4.805", True, None)
NOTIFICATION: Control = ("1.2.840.113556.1.4.528", True, None)
SHOW_DELETED: Control = ("1.2.840.113556.1.4.417", True, None)
_PATIENCE = 15
INVALID_CREDENTIALS = 49
_NTLM_BLOCKED = "data 418,"


class LdapRefusedError(Exception):
    """The server's answer was not success: `code` is the LDAP result code, `message` its diagnostic text."""

    def __init__(self, operation: str, code: int, message: str) -> None:
        super().__init__(f"{operation}: result {code}, {message or 'without a message'}")
        self.code = code
        self.message = message


def ntlm_blocked(error: LdapRefusedError) -> bool:
    """Whether that is STATUS_NTLM_BLOCKED (0xC0000418)."""
    return error.code == INVALID_CREDENTIALS and _NTLM_BLOCKED in error.message


@contextmanager
def refused(*codes: int, saying: str = "") -> Iterator[None]:
    """Assert that the block is refused with one of these result codes, and `saying` in the text."""
    answer: LdapRefusedError | None = None
    try:
        yield
    except LdapRefusedError as error:
        answer = error
    assert answer is not None, f"accepted, but must be refused with {codes}"
    assert answer.code in codes, f"expected to be refused with {codes}, got {answer}"
    assert saying in answer.message, f"expected {saying!r} in the refusal, got {answer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of a search: attribute names in small letters, values raw."""

    dn: str
    attributes: Mapping[str, list[bytes]]

    def all(self, name: str) -> list[str]:
        """Every value as text; [] when there is none."""
        return [value.decode(errors="replace") for value in self.attributes.get(name.lower(), [])]

    def one(self, name: str) -> str:
        """The first value as text, '' when there is none."""
        return next(iter(self.all(name)), "")

    def raw(self, name: str) -> bytes:
        """The first value, b'' when there is none."""
        return next(iter(self.attributes.get(name.lower(), [])), b"")


class Session:
    """One connection; every operation raises LdapRefusedError unless the server said success."""

    def __init__(self, connection: Any) -> None:  # ldap3's stubs are older than ldap3
        self.connection = connection

    def search(
        self,
        base: str,
        query: str = "(objectClass=*)",
        attributes: Sequence[str] = ("*",),
        *,
        scope: Literal["BASE", "LEVEL", "SUBTREE"] = "SUBTREE",
        controls: Sequence[Control] | None = None,
    ) -> list[Entry]:
        """Search; referrals are left out. What the server's controls answered is in `answered`."""
        self.connection.search(
            base,
            query,
            search_scope=scope,
            attributes=list(attributes),
            controls=list(controls or []) or None,
        )
        self.require(f"search {base or 'rootDSE'} {query}")
        return [
            _entry(found) for found in self.connection.response or [] if found["type"] == "searchResEntry"
        ]

    def read(
        self, dn: str, attributes: Sequence[str] = ("*",), controls: Sequence[Control] | None = None
    ) -> Entry:
        """One object by its DN."""
        found = self.search(dn, attributes=attributes, scope="BASE", controls=controls)
        assert len(found) == 1, f"{dn}: expected one object, got {len(found)}"
        return found[0]

    @property
    def answered(self) -> Mapping[str, Any]:
        """The last answer's controls by OID, as ldap3 decodes them."""
        result: Mapping[str, Any] = self.connection.result or {}
        return dict(result.get("controls", {}))

    def add(self, dn: str, attributes: Mapping[str, Any], controls: Sequence[Control] | None = None) -> None:
        """Add an object; `objectClass` is one of the attributes."""
        self.connection.add(dn, attributes=dict(attributes), controls=list(controls or []) or None)
        self.require(f"add {dn}")

    def modify(
        self,
        dn: str,
        changes: Mapping[str, tuple[str, Sequence[Any]]],
        controls: Sequence[Control] | None = None,
    ) -> None:
        """Modify: attribute -> (ldap3.MODIFY_*, values)."""
        wanted = {name: [(how, list(values))] for name, (how, values) in changes.items()}
        self.connection.modify(dn, wanted, controls=list(controls or []) or None)
        self.require(f"modify {dn}")

    def set(self, dn: str, **attributes: Any) -> None:
        """Replace attributes; None removes one."""
        changes = {
            name: (ldap3.MODIFY_REPLACE, [] if value is None else _listed(value))
            for name, value in attributes.items()
        }
        self.modify(dn, changes)

    def rename(self, dn: str, rdn: str, *, under: str | None = None) -> None:
        """Give an object another RDN, and another parent with `under`."""
        self.connection.modify_dn(dn, rdn, new_superior=under)
        self.require(f"rename {dn}")

    def delete(self, dn: str, *, tree: bool = False) -> None:
        """Delete an object, with `tree` everything below it too."""
        self.connection.delete(dn, controls=[TREE_DELETE] if tree else None)
        self.require(f"delete {dn}")

    def whoami(self) -> str:
        """RFC 4532: the authorization identity, like u:DOMAIN, a backslash and the name."""
        answer = self.connection.extend.standard.who_am_i()
        self.require("whoami")
        return str(answer or "")

    def subscribe(self, dn: str) -> None:
        """Ask to be told of changes of an object (MS-ADTS 3.1.1.3.4.1.9); `next_change` waits for them."""
        request = search_operation(
            dn,
            "(objectClass=*)",
            ldap3.BASE,
            ldap3.DEREF_NEVER,
            ["*"],
            0,
            0,
            types_only=False,
            auto_escape=False,
            auto_encode=False,
        )
        self.connection.send("searchRequest", request, [NOTIFICATION])
        # A connection's requests are taken in their order: when this one is answered, the server is watching.
        self.read("", ["currentTime"])

    def next_change(self) -> Entry:
        """The next changed object; the connection's patience bounds the wait."""
        message = self.connection.strategy.receiving()[0]
        decoded = self.connection.strategy.decode_response_fast(decode_message_fast(message))
        assert decoded["type"] == "searchResEntry", f"expected a change, got {decoded['type']}"
        return _entry(decoded)

    def sid(self) -> bytes:
        """The SID as whom the server knows this session: the first of its token (MS-ADTS 3.1.1.3.2.20)."""
        return self.read("", ["tokenGroups"]).raw("tokenGroups")

    def close(self) -> None:
        """Unbind; a server that is gone already is no error."""
        with suppress(LDAPException, OSError):
            self.connection.unbind()

    def require(self, operation: str) -> None:
        """Raise unless the last answer was success; `operation` says what was asked."""
        result = self.connection.result
        if result["result"] != 0:
            raise LdapRefusedError(operation, int(result["result"]), str(result["message"]).rstrip("\0"))


class Ldap:
    """Makes sessions with one target; all are closed at the end of the place.

    Certificates are not judged: a domain controller makes its own. `port` overrides the transport's usual
    one.
    """

    def __init__(self, target: Target, kerberos: Kerberos) -> None:
        self._target = target
        self._kerberos = kerberos
        self._sessions: list[Session] = []
        self._admin: Session | None = None

    @property
    def admin(self) -> Session:
        """The administrator, over TLS or sealed; one connection for all checks of a place."""
        if self._admin is None or self._admin.connection.closed:
            self._admin = self.as_admin(transport="tls")
        return self._admin

    def as_admin(self, *, transport: Transport = "starttls", port: int | None = None) -> Session:
        """Another session of the administrator."""
        return self.login(self._target.admin_principal, self._target.password, transport=transport, port=port)

    def login(
        self, principal: str, password: str, *, transport: Transport = "starttls", port: int | None = None
    ) -> Session:
        """A session by password: by a simple bind, or by Kerberos, sealed, where NTLM is switched off."""
        if self._target.ntlm:
            return self.simple(principal, password, transport=transport, port=port)
        clear = {636: 389, 3269: 3268}.get(port or 0, port)
        return self.gssapi(self._kerberos.kinit(principal, password), port=clear)

    def renew_admin(self) -> None:
        """Let the next use of `admin` make a new connection."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def anonymous(self, *, transport: Transport = "clear", port: int | None = None) -> Session:
        """A session without credentials."""
        return self._bound(self._connection(transport, port), transport)

    def simple(
        self, user: str, password: str, *, transport: Transport = "starttls", port: int | None = None
    ) -> Session:
        """A simple bind: `user` is a DN, a UPN, or a name after the domain and a backslash.

        Without NTLM, versions after 4.17 take none of accounts whose NT hash is stored, as it is by default
        (hash_password_check in libcli/auth/ntlm_check.c): not applicable.
        """
        made = self._connection(transport, port, user=user, password=password, authentication=ldap3.SIMPLE)
        try:
            return self._bound(made, transport)
        except LdapRefusedError as error:
            if ntlm_blocked(error) and self._keeps_nt_hashes():
                self._target.require_ntlm()
            raise

    def _keeps_nt_hashes(self) -> bool:
        """Whether new accounts get an NT hash, as far as can be told: without them simple binds go on without NTLM."""
        shell = self._target.shell
        asked = ("testparm", "-s", "--parameter-name=nt hash store")
        return shell is None or shell(*asked).stdout.strip() == "always"

    def gssapi(
        self,
        cache: str = "",
        *,
        layer: Layer = "seal",
        transport: Transport = "clear",
        port: int | None = None,
        bindings: bytes | None = None,
    ) -> Session:
        """A Kerberos bind with a credential cache (default: the administrator's), RFC 4752.

        `bindings` is the application data of the channel bindings; None sends none.
        """
        session = self._opened(self._connection(transport, port), transport)
        gssapi_bind(
            session.connection,
            self._target.fqdn,
            cache or self._kerberos.admin,
            layer=layer,
            bindings=bindings,
        )
        session.require(f"GSSAPI bind ({layer})")
        return session

    def open(self, *, transport: Transport = "clear", port: int | None = None) -> Session:
        """A connection that is open and not bound, for binds that are made by hand."""
        return self._opened(self._connection(transport, port), transport)

    def close(self) -> None:
        """End every session."""
        for session in self._sessions:
            session.close()

    def _opened(self, connection: ldap3.Connection, transport: Transport) -> Session:
        connection.open(read_server_info=False)
        if transport == "starttls":
            assert connection.start_tls(read_server_info=False), f"StartTLS: {connection.result}"
        session = Session(connection)
        self._sessions.append(session)
        return session

    def _bound(self, connection: ldap3.Connection, transport: Transport) -> Session:
        session = self._opened(connection, transport)
        connection.bind(read_server_info=False)
        session.require(f"{connection.authentication} bind")
        return session

    def _connection(self, transport: Transport, port: int | None, **how: Any) -> ldap3.Connection:
        server = ldap3.Server(
            self._target.address,
            port=port or (636 if transport == "tls" else 389),
            use_ssl=transport == "tls",
            # A folder of authorities that holds none: reading the host's takes longer than the handshake.
            tls=ldap3.Tls(validate=ssl.CERT_NONE, ca_certs_path=str(self._kerberos.folder)),
            get_info=ldap3.NONE,
            connect_timeout=_PATIENCE,
        )
        return ldap3.Connection(
            server,
            receive_timeout=_PATIENCE,
            auto_referrals=False,
            auto_range=False,
            return_empty_attributes=False,
            auto_escape=False,
            check_names=False,
            **how,
        )


def samba_version(address: str) -> Version | None:
    """The version that a Samba tells anybody in its rootDSE; None for other vendors' servers."""
    connection = ldap3.Connection(
        ldap3.Server(address, get_info=ldap3.NONE, connect_timeout=_PATIENCE), receive_timeout=_PATIENCE
    )
    session = Session(connection)
    try:
        connection.open(read_server_info=False)
        vendor = session.read("", ["vendorVersion"]).one("vendorVersion")
    finally:
        session.close()
    return Version.parse(upstream_version(vendor)) if vendor else None


def _entry(found: Mapping[str, Any]) -> Entry:
    raw = found["raw_attributes"]
    return Entry(dn=found["dn"], attributes={name.lower(): list(values) for name, values in raw.items()})


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
