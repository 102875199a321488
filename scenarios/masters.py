"""What only one DC of a domain may do at a time: the seven FSMO roles, and the pools of RIDs."""

import secrets
import struct
from itertools import pairwise

from scenarios.partners import Partner, arrival

# By samba-tool's names, the object that names the owner; {} is the domain's DN (a forest of one domain).
_ROLES = {
    "rid": "CN=RID Manager$,CN=System,{}",
    "pdc": "{}",
    "naming": "CN=Partitions,CN=Configuration,{}",
    "infrastructure": "CN=Infrastructure,{}",
    "schema": "CN=Schema,CN=Configuration,{}",
    "domaindns": "CN=Infrastructure,DC=DomainDnsZones,{}",
    "forestdns": "CN=Infrastructure,DC=ForestDnsZones,{}",
}
_POOL_SECONDS = 30.0
_UNWILLING = 53  # unwillingToPerform, RFC 4511 4.1.9


def transfer(source: Partner, target: Partner) -> float:
    """Move all seven roles from one DC to another; the seconds until both say so."""
    _require_owner((source, target), source)
    target.tool("fsmo", "transfer", "--role=all", admin=True)
    took = arrival(
        f"the roles, moved from {source.hostname} to {target.hostname},",
        lambda: all(_owners(host) == {target.ntds.lower()} for host in (source, target)),
    )
    _require_owner((source, target), target)
    return took


def seize(owner: Partner) -> None:
    """Take all seven roles without asking the DC that had them, which is gone."""
    owner.tool("fsmo", "seize", "--role=all", "--force", admin=True)
    _require_owner((owner,), owner)


def contexts(partner: Partner) -> list[str]:
    """Every naming context of a forest of one domain."""
    base = partner.target.base_dn
    return [
        base,
        f"CN=Configuration,{base}",
        f"CN=Schema,CN=Configuration,{base}",
        f"DC=DomainDnsZones,{base}",
        f"DC=ForestDnsZones,{base}",
    ]


def pools(hosts: tuple[Partner, ...]) -> None:
    """Each DC gives RIDs of its own pool to what it makes, and no two pools meet."""
    ranges = {}
    for host in hosts:
        host.new_object(
            "group", f"rid-{secrets.token_hex(3)}"
        )  # a DC takes its pool up with the first RID it gives
        low, high = _pool(host, "rIDPreviousAllocationPool")
        dn, _, _ = host.new_user()
        rid = struct.unpack("<I", host.admin.read(dn, ["objectSid"]).raw("objectSid")[-4:])[0]
        assert low <= rid <= high, f"{host.hostname} gave RID {rid}, outside its pool {low}-{high}"
        ranges[host.hostname] = (low, high)
    ordered = sorted(ranges.values())
    assert all(one[1] < two[0] for one, two in pairwise(ordered)), f"pools meet: {ranges}"


def first_pool(host: Partner) -> float:
    """Wait until a DC that joined through another than the RID master has its first pool; the seconds it took.

    Its account has to reach the RID master first; until then what it is asked to make is refused.
    """
    from verify.clients.ldap import LdapRefusedError  # noqa: PLC0415 - see scenarios.partners

    def given() -> bool:
        try:
            host.new_object("group", f"rid-{secrets.token_hex(3)}")
        except LdapRefusedError as error:
            if error.code != _UNWILLING:
                raise
            return False
        return True

    return arrival(f"a pool of RIDs for {host.hostname}", given, _POOL_SECONDS)


def _pool(host: Partner, name: str) -> tuple[int, int]:
    """A pool of the DC's RID Set: the lower half of the number is its beginning (MS-ADTS 3.1.1.1.5.3)."""
    place = f"CN=RID Set,CN={host.hostname.upper()},OU=Domain Controllers,{host.target.base_dn}"
    value = int(host.admin.read(place, [name]).one(name) or "0")
    return value & 0xFFFFFFFF, value >> 32


def _owners(host: Partner) -> set[str]:
    """Who has the roles, as this DC knows it."""
    places = [place.format(host.target.base_dn) for place in _ROLES.values()]
    return {host.admin.read(place, ["fSMORoleOwner"]).one("fSMORoleOwner").lower() for place in places}


def _require_owner(hosts: tuple[Partner, ...], owner: Partner) -> None:
    for host in hosts:
        found = _owners(host)
        assert found == {owner.ntds.lower()}, f"{host.hostname} says that the roles are {found}'s"
