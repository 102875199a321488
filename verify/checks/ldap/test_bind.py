"""Who gets in, over which transport, and who doesn't."""

from verify.bench import Bench
from verify.check import check
from verify.clients.ldap import Ldap, refused
from verify.clients.sasl import ntlm_bind, server_end_point
from verify.target import Target

_STRONG_AUTH = 8
_INVALID_CREDENTIALS = 49
_ACCOUNT_DISABLED = 0x0002
# Until then SASL over TLS needed sealing of its own, and had none: it was always refused.
_BINDINGS_SINCE = "4.21"


@check("ldap.bind-simple-clear", loses="passwords could be sent readable over the network")
def test_simple_in_clear_refused(ldap: Ldap, target: Target) -> None:
    with refused(_STRONG_AUTH):
        ldap.simple(target.admin_principal, target.password, transport="clear")


@check("ldap.bind-simple-starttls", loses="applications that use StartTLS could not log in", tier="smoke")
def test_simple_over_starttls(ldap: Ldap, bench: Bench, target: Target) -> None:
    session = ldap.simple(bench.user.principal, bench.user.password)
    assert session.read(target.base_dn, ["objectSid"]).raw("objectSid"), "bound, but the domain is unreadable"


@check("ldap.bind-simple-tls", loses="applications that use LDAPS could not log in", tier="smoke")
def test_simple_over_tls(ldap: Ldap, bench: Bench, target: Target) -> None:
    session = ldap.simple(bench.user.principal, bench.user.password, transport="tls")
    assert session.read(target.base_dn, ["objectSid"]).raw("objectSid"), "bound, but the domain is unreadable"


@check("ldap.bind-name-forms", loses="users could not log in as DOMAIN\\name, by DN or by UPN")
def test_name_forms(ldap: Ldap, bench: Bench, target: Target) -> None:
    user = bench.user
    forms = (user.dn, f"{target.domain}\\{user.name}", f"{user.name}@{target.dns_domain}", user.principal)
    for form in forms:
        assert ldap.simple(form, user.password).sid() == user.sid, f"bound as {form}, became somebody else"


@check("ldap.bind-wrong-password", loses="anybody could log in with any password", tier="smoke")
def test_wrong_password(ldap: Ldap, bench: Bench) -> None:
    user = bench.account()
    with refused(_INVALID_CREDENTIALS, saying="data 52e"):
        ldap.simple(user.principal, user.password + "x")


@check("ldap.bind-unknown-user", loses="names that do not exist could log in")
def test_unknown_user(ldap: Ldap, target: Target) -> None:
    with refused(_INVALID_CREDENTIALS, saying="data 52"):
        ldap.simple(f"galaxy-nobody@{target.dns_domain}", "No-such-Passw0rd")


@check("ldap.bind-disabled", loses="people who left could still log in")
def test_disabled_account(ldap: Ldap, bench: Bench) -> None:
    user = bench.account()
    ldap.simple(user.principal, user.password)
    bench.admin.set(user.dn, userAccountControl=0x200 | _ACCOUNT_DISABLED)
    with refused(_INVALID_CREDENTIALS, saying="data 533"):
        ldap.simple(user.principal, user.password)


@check(
    "ldap.bind-workstations",
    loses="people who may log on at some workstations only could do so from any by LDAP",
)
def test_account_of_named_workstations(ldap: Ldap, bench: Bench, target: Target) -> None:
    user = bench.account(userWorkstations="galaxy-pc1,galaxy-pc2")
    if target.since("4.15"):
        with refused(_INVALID_CREDENTIALS, saying="data 531"):
            ldap.simple(user.principal, user.password)
    else:
        assert ldap.simple(user.principal, user.password).sid() == user.sid


@check("ldap.bind-gssapi-seal", loses="single sign-on to the directory would not work", tier="smoke")
def test_gssapi_sealed(ldap: Ldap, target: Target) -> None:
    session = ldap.gssapi(layer="seal")
    assert session.read(target.base_dn, ["objectSid"]).raw("objectSid")


@check("ldap.bind-gssapi-sign", loses="clients that only sign could not use the directory")
def test_gssapi_signed(ldap: Ldap, target: Target) -> None:
    session = ldap.gssapi(layer="sign")
    assert session.read(target.base_dn, ["objectSid"]).raw("objectSid")


@check("ldap.bind-gssapi-bare", loses="a man in the middle could change what logged-in clients send")
def test_gssapi_without_layer_refused(ldap: Ldap) -> None:
    with refused(_STRONG_AUTH):
        ldap.gssapi(layer="none")


@check("ldap.bind-ntlm", loses="clients without Kerberos could not use the directory")
def test_ntlm_sealed(ldap: Ldap, bench: Bench, target: Target) -> None:
    target.require_ntlm()
    user = bench.user
    session = ldap.open()
    ntlm_bind(session.connection, f"{target.domain}\\{user.name}", user.password)
    session.require("NTLM bind")
    assert session.sid() == user.sid, "bound, but as somebody else"


@check("ldap.bind-ntlm-wrong-password", loses="anybody could log in over NTLM")
def test_ntlm_wrong_password(ldap: Ldap, bench: Bench, target: Target) -> None:
    target.require_ntlm()
    user = bench.account()
    session = ldap.open()
    with refused(_INVALID_CREDENTIALS):
        ntlm_bind(session.connection, f"{target.domain}\\{user.name}", user.password + "x")
        session.require("NTLM bind")


@check("ldap.channel-binding", loses="single sign-on over LDAPS would not work")
def test_channel_binding(ldap: Ldap, target: Target) -> None:
    wire = ldap.open(transport="tls")
    bindings = server_end_point(wire.connection)
    if target.since(_BINDINGS_SINCE):
        session = ldap.gssapi(layer="none", transport="tls", bindings=bindings)
        assert session.read(target.base_dn, ["objectSid"]).raw("objectSid")
    else:
        with refused(_STRONG_AUTH):
            ldap.gssapi(layer="none", transport="tls", bindings=bindings)


@check("ldap.channel-binding-absent", loses="a relayed logon over TLS would be accepted")
def test_channel_binding_absent(ldap: Ldap, target: Target) -> None:
    with refused(target.expect(old=_STRONG_AUTH, new=_INVALID_CREDENTIALS, since=_BINDINGS_SINCE)):
        ldap.gssapi(layer="none", transport="tls")


@check("ldap.channel-binding-wrong", loses="a logon relayed from another TLS server would be accepted")
def test_channel_binding_wrong(ldap: Ldap, target: Target) -> None:
    wrong = b"tls-server-end-point:" + bytes(32)
    with refused(target.expect(old=_STRONG_AUTH, new=_INVALID_CREDENTIALS, since=_BINDINGS_SINCE)):
        ldap.gssapi(layer="none", transport="tls", bindings=wrong)


@check("ldap.gc-starttls", loses="searches across the forest (Exchange, address books) would fail")
def test_global_catalogue(ldap: Ldap, target: Target) -> None:
    session = ldap.as_admin(port=3268)
    found = session.search("", f"(sAMAccountName={target.admin_user})", ["objectSid"])
    assert len(found) == 1, f"expected one {target.admin_user} in the forest, got {len(found)}"


@check("ldap.gc-tls", loses="searches across the forest over TLS would fail")
def test_global_catalogue_over_tls(ldap: Ldap, bench: Bench, target: Target) -> None:
    session = ldap.simple(bench.user.principal, bench.user.password, transport="tls", port=3269)
    found = session.search("", f"(sAMAccountName={target.admin_user})", ["objectSid"])
    assert len(found) == 1, f"expected one {target.admin_user} in the forest, got {len(found)}"
