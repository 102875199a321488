"""Getting a ticket-granting ticket, and not getting one."""

from verify.bench import Bench, unique
from verify.check import check
from verify.clients.kerberos import Kerberos, enctypes
from verify.target import Target

# KRB5KRB_AP_ERR_SKEW in libkrb5's numbering: its base, and 37 of RFC 4120.
_AP_ERR_SKEW = -1765328384 + 37
_ENCTYPES = ("aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96")


@check("kerberos.as-password", loses="nobody could log in", tier="smoke")
def test_password(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    tickets = kerberos.tickets(kerberos.kinit(user.principal, user.password))
    assert f"krbtgt/{user.realm}@{user.realm}" in tickets, f"kinit succeeded without a TGT: {tickets}"


@check("kerberos.as-wrong-password", loses="anybody could log in with any password", tier="smoke")
def test_wrong_password(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.account()
    _refused(kerberos, user.principal, user.password + "x", "Password incorrect")


@check("kerberos.as-unknown", loses="names that do not exist could log in")
def test_unknown_principal(kerberos: Kerberos, target: Target) -> None:
    _refused(kerberos, f"galaxy-nobody@{target.realm}", "x", "not found in Kerberos database")


@check("kerberos.as-disabled", loses="people who left could still log in")
def test_disabled(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.account(control=0x202)
    _refused(kerberos, user.principal, user.password, "credentials have been revoked")


@check("kerberos.as-expired", loses="people whose contract ended could still log in")
def test_expired_account(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.account(accountExpires="864000000000")
    _refused(kerberos, user.principal, user.password, "revoked", "expired")


@check("kerberos.as-must-change", loses="a first password would stay for ever")
def test_must_change(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.account(pwdLastSet="0")
    _refused(kerberos, user.principal, user.password, "Password expired")


@check("kerberos.preauth-required", loses="passwords could be guessed offline from tickets anybody may get")
def test_preauthentication_is_required(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    trace = kerberos.trace("kinit", user.principal, stdin=user.password + "\n")
    assert "Additional pre-authentication required" in trace, f"the KDC asked for none:\n{trace}"


@check("kerberos.as-aes", loses="clients that only take AES could not log in")
def test_aes_enctypes(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    for enctype in _ENCTYPES:
        config = kerberos.configuration(
            f"default_tkt_enctypes = {enctype}\n  default_tgs_enctypes = {enctype}"
        )
        cache = kerberos.kinit(user.principal, user.password, config=config)
        session, _ticket = enctypes(kerberos.tickets(cache), "krbtgt/")
        assert session == enctype, f"asked for {enctype}, the session has {session}"


@check("kerberos.as-rc4", loses="old clients could not log in, or their tickets could be forged")
def test_rc4_client(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    cache = kerberos.kinit(user.principal, user.password, config=kerberos.rc4_configuration(only=True))
    used = enctypes(kerberos.tickets(cache), "krbtgt/")
    assert used == ("arcfour-hmac", "aes256-cts-hmac-sha1-96"), f"session and ticket have {used}"


@check("kerberos.udp", loses="clients that begin with UDP could not log in")
def test_udp_first(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    config = kerberos.configuration(udp_limit=1465)
    trace = kerberos.trace("kinit", user.principal, stdin=user.password + "\n", config=config)
    assert "from dgram" in trace, f"no answer over UDP:\n{trace}"


@check("kerberos.upn", loses="people could not log in with their e-mail-like name")
def test_enterprise_name(kerberos: Kerberos, bench: Bench, target: Target) -> None:
    name = f"first.{unique('g')}"
    user = bench.account(userPrincipalName=f"{name}@{target.dns_domain}")
    tickets = kerberos.tickets(kerberos.kinit(f"{name}@{target.dns_domain}", user.password, "-E", "-C"))
    assert f"Default principal: {user.name}@{user.realm}" in tickets, tickets


@check("kerberos.renew", loses="long jobs would lose their tickets")
def test_renewal(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    cache = kerberos.kinit(user.principal, user.password, "-r", "1d", "-l", "1h")
    done = kerberos.run("kinit", "-R", cache=cache)
    assert done.returncode == 0, f"the ticket could not be renewed: {done.output}"


@check("kerberos.fast", loses="password guessing on the wire would not be armoured against")
def test_armour(kerberos: Kerberos, bench: Bench, target: Target) -> None:
    user = bench.user
    trace = kerberos.trace("kinit", "-T", kerberos.admin, user.principal, stdin=user.password + "\n")
    # The client says that it will use it by what the ticket promises; the KDC's answer shows that it was used.
    armoured = "Decoding FAST response" in trace
    assert armoured == target.expect(old=False, new=True, since="4.16"), trace


@check("kerberos.skew", loses="replayed logons from another time would be taken")
def test_clock_skew(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.user
    assert kerberos.refusal_at(user.principal, user.password, 0) == 0, "refused with the right time"
    code = kerberos.refusal_at(user.principal, user.password, 3600)
    assert code == _AP_ERR_SKEW, f"an hour ahead: expected {_AP_ERR_SKEW} (clock skew too great), got {code}"


def _refused(kerberos: Kerberos, principal: str, password: str, *reasons: str) -> None:
    """Assert that there is no TGT, for one of these reasons."""
    done = kerberos.try_kinit(principal, password)
    assert done.returncode != 0, f"{principal} got a ticket, expected: {reasons[0]}"
    assert any(reason in done.output for reason in reasons), (
        f"expected {' or '.join(reasons)}, the KDC said: {done.output.strip()}"
    )
