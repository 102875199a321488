"""Machine accounts as a join makes them."""

from verify.bench import Bench, unique
from verify.clients.netlogon import Machine

_WORKSTATION_TRUST = 0x1000


def machine(bench: Bench) -> Machine:
    """A new member of the domain; its account goes with the bench's OU."""
    name = unique("gm").upper()
    account = bench.account(control=_WORKSTATION_TRUST, objectClass="computer", sAMAccountName=f"{name}$")
    return Machine(name=name, password=account.password)
