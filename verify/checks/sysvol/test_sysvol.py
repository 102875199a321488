"""Policies and logon scripts: the files in sysvol, their objects in the directory, and who can read them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import ldap3
from smbprotocol.open import CreateDisposition
from smbprotocol.tree import TreeConnect

from verify.bench import Bench, unique
from verify.check import check
from verify.clients import smb, smbfile
from verify.clients.controls import sd_flags
from verify.clients.descriptor import Ace, dacl_of, descriptor, sid_text
from verify.clients.machines import machine
from verify.clients.ntstatus import SUCCESS
from verify.target import Shell, Target

DEFAULT_POLICIES = ("{31B2F340-016D-11D2-945F-00C04FB984F9}", "{6AC1786C-016F-11D2-945F-00C04FB984F9}")
APPLY_GROUP_POLICY = "edacfd8f-ffb3-11d1-b41d-00a0c968f939"
ADMINISTRATORS = "S-1-5-32-544"
FULL_CONTROL, READ_AND_RUN = 0x1F01FF, 0x1200A9
DS_FULL, DS_READ, DS_CONTROL_ACCESS = 0x000F01FF, 0x00020094, 0x100
DACL_ONLY = 4
EMPTY_POLICY = b"[General]\r\nVersion=0\r\n"


def read(share: TreeConnect, path: str) -> bytes:
    """A small file of a share."""
    file, _ = smb.open_file(
        share, path, access=smb.Access.GENERIC_READ, disposition=CreateDisposition.FILE_OPEN
    )
    content = bytes(file.read(0, 65536))
    file.close(get_attributes=False)
    return content


def version_in(gpt_ini: bytes) -> int:
    """The Version= of a GPT.INI, -1 when there is none. `samba-tool gpo manage` writes spaces around the sign."""
    found = re.search(rb"^\s*Version\s*=\s*(\d+)", gpt_ini, re.IGNORECASE | re.MULTILINE)
    return int(found[1]) if found else -1


def policies_folder(target: Target) -> str:
    """Where policies are, relative to the share."""
    return rf"{target.dns_domain}\Policies"


@check(
    "sysvol.default-policies",
    loses="the domain's password and security policies would not apply",
    tier="smoke",
)
def test_default_policies(target: Target) -> None:
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        for policy in DEFAULT_POLICIES:
            content = read(share, rf"{policies_folder(target)}\{policy}\GPT.INI")
            assert version_in(content) >= 0, f"{policy}: expected a version in GPT.INI, got {content[:80]!r}"


@check(
    "sysvol.policies-match-directory",
    loses="policies would be shown and not applied, or applied and not shown",
)
def test_policies_match_directory(target: Target, bench: Bench) -> None:
    rows = bench.admin.search(
        f"CN=Policies,CN=System,{target.base_dn}",
        "(objectClass=groupPolicyContainer)",
        ["cn", "gPCFileSysPath", "versionNumber"],
        scope="LEVEL",
    )
    listed = {row.one("cn").upper(): row for row in rows}
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        folder = smb.open_folder(share, policies_folder(target), access=smb.Access.GENERIC_READ)
        kept = {name.upper() for name in smb.names_in(folder) if name.startswith("{")}
        for name in set(listed) & kept:
            ini = version_in(read(share, rf"{policies_folder(target)}\{name}\GPT.INI"))
            wanted = int(listed[name].one("versionNumber") or 0)
            path = listed[name].one("gPCFileSysPath").upper()
            assert path.endswith(rf"\POLICIES\{name}"), f"expected a path to {name}, got {path}"
            # The Default Domain Policy of a new domain has a version in its file that its object lacks.
            lacking = name == DEFAULT_POLICIES[0].upper() and wanted == 0
            assert lacking or wanted == ini, f"{name}: expected version {wanted} in GPT.INI, got {ini}"
    assert set(listed) == kept, (
        f"expected a folder for each policy, got {sorted(set(listed) ^ kept)} on one side"
    )


@check(
    "sysvol.rights",
    loses="policies would be refused by clients, or writable by the wrong people",
    tier="full",
)
def test_rights(shell: Shell) -> None:
    done = shell("samba-tool", "ntacl", "sysvolcheck", timeout=60)
    said = [line for line in done.output.splitlines() if "ERROR" in line or "Error" in line]
    assert done.returncode == 0, (
        f"expected sysvolcheck to agree, got: {' '.join(said) or done.output.strip()[-400:]}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A group policy of ours: its name, its folder on the share and its object."""

    name: str
    folder: str
    dn: str


@contextmanager
def policy(target: Target, bench: Bench) -> Iterator[Policy]:
    """Make a group policy as the management console does, files first; both halves are removed afterwards."""
    name = "{" + str(uuid4()).upper() + "}"
    made = Policy(
        name=name,
        folder=rf"{policies_folder(target)}\{name}",
        dn=f"CN={name},CN=Policies,CN=System,{target.base_dn}",
    )
    try:
        _make_files(target, made)
        _make_object(target, bench, made)
        yield made
    finally:
        with smb.logged_on(target) as session:
            smb.remove_tree(smb.tree(session, target, "sysvol"), made.folder)
        if bench.admin.search(made.dn.partition(",")[2], f"(cn={name})", ["cn"], scope="LEVEL"):
            bench.admin.delete(made.dn, tree=True)


def _make_files(target: Target, made: Policy) -> None:
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        for folder in (made.folder, rf"{made.folder}\Machine", rf"{made.folder}\User"):
            smb.open_folder(share, folder, make=True).close(get_attributes=False)
        file, _ = smb.open_file(share, rf"{made.folder}\GPT.INI")
        file.write(EMPTY_POLICY)
        file.close(get_attributes=False)


def _make_object(target: Target, bench: Bench, made: Policy) -> None:
    body = {
        "objectClass": "groupPolicyContainer",
        "displayName": f"Galaxy {made.name}",
        "gPCFileSysPath": rf"\\{target.dns_domain}\sysvol\{made.folder}",
        "gPCFunctionalityVersion": "2",
        "versionNumber": "0",
        "flags": "0",
    }
    bench.admin.add(made.dn, body)
    for part in ("User", "Machine"):
        bench.admin.add(f"CN={part},{made.dn}", {"objectClass": "container"})


@check("sysvol.policy-life", loses="administrators could not make, find or remove a group policy")
def test_policy_life(target: Target, bench: Bench) -> None:
    container = f"CN=Policies,CN=System,{target.base_dn}"
    with policy(target, bench) as made:
        found = bench.admin.search(container, f"(cn={made.name})", ["displayName"], scope="LEVEL")
        assert len(found) == 1, f"expected the policy's object once, got {len(found)}"
        with smb.logged_on(target) as session:
            content = read(smb.tree(session, target, "sysvol"), rf"{made.folder}\GPT.INI")
        assert content == EMPTY_POLICY, f"expected the policy's file as written, got {content!r}"
    left = bench.admin.search(container, f"(cn={made.name})", ["cn"], scope="LEVEL")
    assert left == [], f"expected no object after the deletion, got {len(left)}"
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        said = smb.outcome(lambda: smb.open_folder(share, made.folder, access=smb.Access.GENERIC_READ))
    assert said == "STATUS_OBJECT_NAME_NOT_FOUND", f"expected no folder after the deletion, got {said}"


@check("sysvol.machine-reads-policy", loses="no computer of the domain would apply its policies")
def test_machine_reads_policy(target: Target, bench: Bench) -> None:
    member = machine(bench)
    login = smb.Login(user=member.account, password=member.password, protocol="kerberos")
    with policy(target, bench) as made, smb.logged_on(target, login) as session:
        content = read(smb.tree(session, target, "sysvol"), rf"{made.folder}\GPT.INI")
    assert content == EMPTY_POLICY, f"expected a machine to read the policy, got {content!r}"


@check("sysvol.policy-for-groups", loses="a policy could not be given to more than one group (bug 15738)")
def test_policy_for_groups(target: Target, bench: Bench) -> None:
    sids = [sid_text(bench.admin.read(bench.group(), ["objectSid"]).raw("objectSid")) for _ in range(3)]
    on_object = [Ace(sid=ADMINISTRATORS, mask=DS_FULL)]
    on_files = [Ace(sid=ADMINISTRATORS, mask=FULL_CONTROL, flags=3)]
    for sid in sids:
        on_object.append(Ace(sid=sid, mask=DS_READ))
        on_object.append(Ace(sid=sid, mask=DS_CONTROL_ACCESS, right=APPLY_GROUP_POLICY))
        on_files.append(Ace(sid=sid, mask=READ_AND_RUN, flags=3))
    with policy(target, bench) as made:
        change = {"nTSecurityDescriptor": (ldap3.MODIFY_REPLACE, [descriptor(on_object)])}
        bench.admin.modify(made.dn, change, [sd_flags(DACL_ONLY)])
        kept = bench.admin.read(made.dn, ["nTSecurityDescriptor"], [sd_flags(DACL_ONLY)])
        in_directory = dacl_of(kept.raw("nTSecurityDescriptor"))
        in_sysvol = _kept_on_files(target, made, on_files)
    missing = [ace for ace in on_object if ace not in in_directory]
    assert not missing, f"expected every right on the object, missing {missing}"
    missing = [ace for ace in on_files if ace not in in_sysvol]
    assert not missing, f"expected every right on the folder, missing {missing}"


def _kept_on_files(target: Target, made: Policy, aces: list[Ace]) -> list[Ace]:
    """Set rights on a policy's folder, and read them back through another session."""
    access = smb.Access.GENERIC_READ | smb.Access.READ_CONTROL | smb.Access.WRITE_DAC
    for wanted in (aces, None):
        with smb.logged_on(target) as session:
            folder = smb.open_folder(smb.tree(session, target, "sysvol"), made.folder, access=access)
            if wanted is not None:
                smbfile.set_security_descriptor(folder, descriptor(wanted))
            kept = dacl_of(smbfile.security_descriptor(folder))
            folder.close(get_attributes=False)
    return kept


@check("sysvol.logon-script", loses="users would log on without their drives and printers")
def test_logon_script(target: Target, bench: Bench) -> None:
    user = bench.account()
    name, content = f"{unique('gs')}.cmd", b"@echo off\r\n"
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "netlogon")
        try:
            file, _ = smb.open_file(share, name)
            file.write(content)
            file.close(get_attributes=False)
            login = smb.Login(user=user.name, password=user.password, protocol="kerberos")
            with smb.logged_on(target, login) as reader:
                got = read(smb.tree(reader, target, "netlogon"), name)
            sysvol = smb.tree(session, target, "sysvol")
            same = smb.outcome(lambda: read(sysvol, rf"{target.dns_domain}\scripts\{name}"))
        finally:
            smb.remove(share, name)
    assert got == content, f"expected a user to read the script, got {got!r}"
    assert same == SUCCESS, f"expected netlogon to be sysvol's scripts folder, got {same}"
