"""The account database by RPC (MS-SAMR): as much as administration tools and members use of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from impacket.dcerpc.v5 import samr

from verify.clients import rpc
from verify.target import Target


@contextmanager
def opened(
    target: Target, *, caller: rpc.Caller | None = None, level: int | None = rpc.SEALED
) -> Iterator[Any]:
    """The interface behind its pipe."""
    with rpc.over_pipe(target, "samr", samr.MSRPC_UUID_SAMR, caller=caller, level=level) as call:
        yield call


def domains(call: Any) -> list[str]:
    """The names of the domains that the server knows: its own and BUILTIN."""
    server = samr.hSamrConnect(call)["ServerHandle"]
    answer = samr.hSamrEnumerateDomainsInSamServer(call, server)
    return [row["Name"] for row in answer["Buffer"]["Buffer"]]


def domain_handle(call: Any, target: Target) -> Any:
    """The target's own domain, opened with all rights that the caller has."""
    server = samr.hSamrConnect(call)["ServerHandle"]
    sid = samr.hSamrLookupDomainInSamServer(call, server, target.domain)["DomainId"]
    return samr.hSamrOpenDomain(call, server, domainId=sid)["DomainHandle"]


def users(call: Any, target: Target) -> dict[str, int]:
    """The domain's users: name and RID."""
    answer = samr.hSamrEnumerateUsersInDomain(call, domain_handle(call, target))
    return {row["Name"]: int(row["RelativeId"]) for row in answer["Buffer"]["Buffer"]}
