"""What an administrator should know before an upgrade: nothing of it forbids one, and some work may stop by it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from galaxy.host.journal import LOOK, Entry, journal
from galaxy.host.wording import first_of
from galaxy.release.version import Version
from galaxy.server.config import Server
from galaxy.server.configuration import says_no_ntlm
from galaxy.upgrade.consult import consult, on_a_copy
from galaxy.upgrade.plan import ImageChoice

_SHOWN = 5
# How testparm says that an option is not there any more, or will not be.
_COMPLAINT = re.compile(r"Unknown parameter encountered|option is deprecated|Invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different from version `since` on, for the accounts that an LDAP filter finds, or anyway without one.

    Where only `until`, a later version, is known to be different already, who comes from between is told, too.

    `words` may have {accounts}: how many there are, and the first names. With `without_ntlm` only where smb.conf has
    NTLM switched off.
    """

    since: str
    words: str
    until: str = ""
    query: str = ""
    without_ntlm: bool = False


_ENABLED = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"
CHANGES = (
    Change(
        since="4.15.0",
        query=f"(&(objectCategory=person)(userWorkstations=*){_ENABLED})",
        words="accounts that may log on at named workstations only, by userWorkstations ({accounts}): from 4.15 on an "
        "LDAP simple bind, which names none, is refused to them",
    ),
    Change(
        since="4.18.0",  # 4.17.12 takes them, 4.22.6 does not (libcli/auth/ntlm_check.c, hash_password_check)
        until="4.22.6",
        query=f"(&(objectCategory=person)(unicodePwd=*){_ENABLED})",
        without_ntlm=True,
        words="accounts whose NT hash is stored ({accounts}): versions after 4.17 refuse LDAP simple binds to them "
        "where smb.conf has `ntlm auth = disabled`. What logs on so has to use Kerberos, or `nt hash store = auto` is "
        "set and these accounts get new passwords",
    ),
    Change(
        since="4.24.0",
        # Domain controllers (8192) and managed service accounts have AES keys.
        query="(&(objectClass=user)(servicePrincipalName=*)(!(msDS-SupportedEncryptionTypes=*))"
        "(!(userAccountControl:1.2.840.113556.1.4.803:=8192))"
        f"(!(objectClass=msDS-GroupManagedServiceAccount)){_ENABLED})",
        words="accounts of services that name no encryption types ({accounts}): from 4.24 on tickets for them are AES, "
        "and a service whose keytab has RC4 keys alone cannot read these. Give it a new keytab, or set "
        "msDS-SupportedEncryptionTypes of its account to 4, which is RC4",
    ),
    Change(
        since="4.24.0",
        # dsacl2fsacl in its python/samba/ntacls.py leaves the right to apply a policy out of the files' ACLs.
        words="policies' files keep an entry of their ACL that 4.24 does not set any more: what `samba-tool domain "
        "backup` makes after the upgrade cannot be restored until `samba-tool ntacl sysvolreset` has run in the server",
    ),
)


def notices(server: Server, old: ImageChoice, new: ImageChoice) -> tuple[str, ...]:
    """What changes for the server's domain between two versions, and what the new one says of smb.conf."""
    with journal(server.store, LOOK, server.name) as entry:
        read = on_a_copy(entry, server.as_image(new.id), ("/usr/bin/testparm", "-s"), parts=("etc",))
        crossed = [
            change
            for change in CHANGES
            if Version.parse(old.version) < Version.parse(change.until or change.since)
            and Version.parse(change.since) <= Version.parse(new.version)
            and (says_no_ntlm(read.stdout) or not change.without_ntlm)
        ]
        return (*_concerned(entry, server, crossed), *_complaints(read.output, new))


def _concerned(entry: Entry, server: Server, crossed: list[Change]) -> Iterator[str]:
    """The changes that concern somebody in the server's domain, in words."""
    asked = [change for change in crossed if change.query]
    found: dict[str, list[str]] = {}
    if asked:
        printed = consult(entry, server, "accounts", *(change.query for change in asked))
        lists = json.loads(printed.strip().splitlines()[-1])
        found = {change.query: names for change, names in zip(asked, lists, strict=True)}
    for change in crossed:
        names = found.get(change.query, [])
        if names or not change.query:
            yield change.words.format(accounts=_accounts(names))


def _complaints(said: str, new: ImageChoice) -> Iterator[str]:
    """What the new version's testparm finds fault with in smb.conf, a sentence each."""
    lines = (line.strip() for line in said.splitlines() if _COMPLAINT.search(line))
    for line in dict.fromkeys(lines):
        yield f"{new.ref} says of smb.conf: {line}"


def _accounts(names: list[str]) -> str:
    return f"{len(names)}: {first_of(names, _SHOWN)}"
