"""What an administrator should know before an upgrade: nothing of it forbids one, and some work may stop by it."""

import json
import re
from dataclasses import dataclass

from galaxy.host.journal import journal
from galaxy.host.wording import first_of
from galaxy.release.version import Version
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.upgrade.consult import consult

_SHOWN = 5
# How testparm says that an option is not there any more, or will not be.
_COMPLAINT = re.compile(r"Unknown parameter encountered|option is deprecated|Invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different from version `since` on for the accounts that an LDAP filter finds.

    `words` has {accounts}: how many there are, and the first names.
    """

    since: str
    query: str
    words: str


_ENABLED = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"
CHANGES = (
    Change(
        since="4.15.0",
        query=f"(&(objectCategory=person)(userWorkstations=*){_ENABLED})",
        words="accounts that may log on at named workstations only, by userWorkstations ({accounts}): from 4.15 on an "
        "LDAP simple bind, which names none, is refused to them",
    ),
    Change(
        since="4.24.0",
        # Domain controllers (8192) and managed service accounts have AES keys.
        query="(&(objectClass=user)(servicePrincipalName=*)(!(msDS-SupportedEncryptionTypes=*))"
        "(!(userAccountControl:1.2.840.113556.1.4.803:=8192))"
        f"(!(objectClass=msDS-GroupManagedServiceAccount)){_ENABLED})",
        words="accounts of services that name no encryption types ({accounts}): from 4.24 on tickets for them are AES, "
        "and a service whose keytab has RC4 keys alone cannot read these. Give it a new keytab, or set "
        "msDS-SupportedEncryptionTypes of its account to 4",
    ),
)


def notices(server: Server, old: str, new: str) -> tuple[str, ...]:
    """What changes for accounts of the server's domain between two versions, a sentence each."""
    crossed = [
        change for change in CHANGES if Version.parse(old) < Version.parse(change.since) <= Version.parse(new)
    ]
    if not crossed:
        return ()
    with journal(server.store, "look", server.name) as entry:
        printed = consult(entry, server, "accounts", *(change.query for change in crossed))
    found: list[list[str]] = json.loads(printed.strip().splitlines()[-1])
    return tuple(
        change.words.format(accounts=_accounts(names))
        for change, names in zip(crossed, found, strict=True)
        if names
    )


def complaints(server: Server) -> tuple[str, ...]:
    """What testparm of a running server's version finds fault with in its smb.conf, a line each."""
    done = exec_(server, ("testparm", "-s"), check=False)
    lines = (line.strip() for line in done.output.splitlines() if _COMPLAINT.search(line))
    return tuple(dict.fromkeys(lines))


def _accounts(names: list[str]) -> str:
    return f"{len(names)}: {first_of(names, _SHOWN)}"
