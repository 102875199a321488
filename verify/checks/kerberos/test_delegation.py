"""Services that act for their users (MS-SFU): who may ask for whose tickets, and to whom they may go."""

from galaxy.host.process import Completed
from verify.bench import Account, Bench
from verify.check import check
from verify.clients.descriptor import Ace, descriptor, sid_text
from verify.clients.kerberos import Kerberos
from verify.clients.machines import service_account, spn_of
from verify.target import Target

_NORMAL, _NOT_DELEGATED, _TRUSTED_TO_DELEGATE = 0x200, 0x100000, 0x1000000
_FULL_CONTROL = 0x000F01FF
_ADMINISTRATORS = "S-1-5-32-544"


@check("kerberos.s4u2self", loses="services could not act for users who logged in without Kerberos")
def test_service_for_user_to_self(kerberos: Kerberos, bench: Bench) -> None:
    user, service = bench.user, service_account(bench)
    cache = kerberos.kinit(service.principal, service.password)
    done = kerberos.service_ticket(service.principal, "-U", user.name, cache=cache)
    assert done.returncode == 0, f"S4U2Self was refused: {done.output}"
    other = kerberos.service_ticket(service.principal, "-U", "galaxy-nobody", cache=cache)
    assert other.returncode != 0, "S4U2Self for a user who does not exist"


@check("kerberos.not-delegated", loses="administrators marked as sensitive would be delegated all the same")
def test_sensitive_accounts_are_not_forwardable(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.account()
    ordinary = kerberos.tickets(kerberos.kinit(user.principal, user.password, "-f"))
    assert "Flags: F" in ordinary, f"an ordinary ticket is not forwardable: {ordinary}"
    bench.admin.set(user.dn, userAccountControl=_NORMAL | _NOT_DELEGATED)
    sensitive = kerberos.tickets(kerberos.kinit(user.principal, user.password, "-f"))
    assert "Flags: F" not in sensitive, f"a sensitive account's ticket is forwardable: {sensitive}"


@check(
    "kerberos.constrained-delegation",
    loses="web servers could not reach databases and files for their users, or could reach more than allowed",
)
def test_constrained_delegation(kerberos: Kerberos, bench: Bench) -> None:
    front, behind, other = service_account(bench), service_account(bench), service_account(bench)
    refused = _on_behalf(kerberos, front, behind, bench.user)
    assert refused.returncode != 0, "a service that may not delegate got a ticket for its user"
    bench.admin.set(
        front.dn,
        userAccountControl=_NORMAL | _TRUSTED_TO_DELEGATE,
        **{"msDS-AllowedToDelegateTo": spn_of(behind)},
    )
    done = _on_behalf(kerberos, front, behind, bench.user)
    assert done.returncode == 0, f"S4U2Proxy was refused: {done.output}"
    refused = _on_behalf(kerberos, front, other, bench.user)
    assert refused.returncode != 0, "S4U2Proxy to a service that the front may not delegate to"
    sensitive = bench.account(control=_NORMAL | _NOT_DELEGATED)
    refused = _on_behalf(kerberos, front, behind, sensitive)
    assert refused.returncode != 0, "S4U2Proxy for a user who must not be delegated"


@check(
    "kerberos.resource-based-delegation",
    loses="services could not say by themselves who may act for users at them",
)
def test_resource_based_delegation(kerberos: Kerberos, bench: Bench, target: Target) -> None:
    # The KDC takes a forwardable ticket of the user only, which S4U2Self gives to those that it trusts with one.
    front, closed = service_account(bench, control=_NORMAL | _TRUSTED_TO_DELEGATE), service_account(bench)
    may = descriptor([Ace(sid=sid_text(front.sid), mask=_FULL_CONTROL)], owner=_ADMINISTRATORS)
    # Samba takes this attribute from administrators when an account is made, and later from its own tools only.
    behind = service_account(bench, **{"msDS-AllowedToActOnBehalfOfOtherIdentity": may})
    refused = _on_behalf(kerberos, front, closed, bench.user)
    assert refused.returncode != 0, "a service that nobody allowed got a ticket for its user"
    done = _on_behalf(kerberos, front, behind, bench.user)
    if target.since("4.19"):
        assert done.returncode == 0, f"the service that was allowed was refused: {done.output}"
    else:
        assert "constrained delegation failed" in done.output, f"this version does not know it: {done.output}"


def _on_behalf(kerberos: Kerberos, front: Account, behind: Account, user: Account) -> Completed:
    """Let the front service ask for its user's ticket to the one behind it, by S4U2Self and S4U2Proxy."""
    cache = kerberos.kinit(front.principal, front.password, "-f")
    return kerberos.service_ticket(spn_of(behind), "-U", user.name, "-P", cache=cache)
