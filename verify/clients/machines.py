"""Accounts that are not people's: machines as a join makes them, and services."""

from typing import Any

from verify.bench import Account, Bench, unique
from verify.clients.netlogon import Machine

WORKSTATION_TRUST = 0x1000


def machine(bench: Bench) -> Machine:
    """A new member of the domain; its account goes with the bench's OU."""
    name = unique("gm").upper()
    account = bench.account(control=WORKSTATION_TRUST, objectClass="computer", sAMAccountName=f"{name}$")
    return Machine(name=name, password=account.password)


def service_account(bench: Bench, **attributes: Any) -> Account:
    """An account with an SPN (`spn_of`) and AES keys; it goes with the bench's OU."""
    account = bench.account(**attributes)
    bench.admin.set(
        account.dn,
        servicePrincipalName=[spn_of(account)],
        **{"msDS-SupportedEncryptionTypes": "24"},
    )
    return account


def spn_of(service: Account) -> str:
    """The name that tickets for a service account are made for."""
    return f"galaxy/{service.name}.{service.realm.lower()}"
