"""Runs inside a server's sandbox, under its image's own Samba.

Argument 1 is one of VERBS; the values, the password among them, come as JSON on standard input. Ends with 0, or with 1
and a last line of JSON {"kind": ..., "why": ...} on standard output.
"""

import contextlib
import json
import os
import socket
import sys

from ldb import SCOPE_BASE, Dn
from samba.auth import system_session
from samba.credentials import SMB_SIGNING_REQUIRED, Credentials
from samba.param import LoadParm
from samba.samdb import SamDB

SYSVOL = "/var/lib/samba/sysvol"
MASTER_SECONDS = 5


class RefusedError(Exception):
    """`kind` is for the host's side, `why` for people."""

    def __init__(self, kind, why):
        super().__init__(why)
        self.kind = kind
        self.why = why


def loaded():
    lp = LoadParm()
    lp.load_default()
    return lp


def credentials(lp, told):
    creds = Credentials()
    creds.guess(lp)
    creds.parse_string(told["user"])
    creds.set_password(told["password"])
    return creds


def remote(lp, told):
    """The directory of the DC that is asked."""
    try:
        return SamDB(
            url="ldap://" + told["dc"],
            session_info=system_session(),
            credentials=credentials(lp, told),
            lp=lp,
        )
    except Exception as error:
        why = str(error.args[-1]) if error.args else str(error)
        refused = (
            "LOGON_FAILURE",
            "NO_SUCH_USER",
            "WRONG_PASSWORD",
            "ACCOUNT_",
            "PASSWORD_",
            "data 52e",
            "NT_STATUS_NOT_FOUND",
        )
        raise RefusedError("logon" if any(word in why for word in refused) else "unreachable", why) from None


def check(told):
    """The credentials are good for a logon, and nothing in the domain has the new DC's name."""
    samdb = remote(loaded(), told)
    account = "(|(sAMAccountName=%s$)(dNSHostName=%s.%s))" % (told["host"], told["host"], told["realm"])
    server = "(&(objectClass=server)(cn=%s))" % told["host"]
    for base, wanted in ((samdb.get_default_basedn(), account), (samdb.get_config_basedn(), server)):
        for found in samdb.search(base=base, expression=wanted, attrs=["dn"]):
            raise RefusedError("taken", str(found.dn))
    if told["site"]:
        sites = "CN=Sites,%s" % samdb.get_config_basedn()
        known = [
            str(site["cn"])
            for site in samdb.search(base=sites, expression="(objectClass=site)", attrs=["cn"])
        ]
        if told["site"].lower() not in [name.lower() for name in known]:
            raise RefusedError("site", ", ".join(sorted(known)))


def known(told):
    """Nothing in the domain is a DC of that name: what makes one is its NTDS settings, which go first when it leaves."""
    samdb = remote(loaded(), told)
    own = "CN=NTDS SETTINGS,CN=%s," % told["host"].upper()
    base = samdb.get_config_basedn()
    for found in samdb.search(base=base, expression="(objectClass=nTDSDSA)", attrs=["dn"]):
        if str(found.dn).upper().startswith(own):
            raise RefusedError("known", str(found.dn))


def raise_keys_above(version):
    """Let a join set its account's password until the version of its keys is above that number.

    Each setting is one more (MS-ADTS 3.1.1.4.5.16); samba.join reads the version afterwards, for secrets and keytab.
    """
    once = SamDB.setpassword

    def setpassword(self, search_filter, newpassword, **options):
        for _ in range(version + 1):
            once(self, search_filter, newpassword, **options)
            found = self.search(
                base=self.get_default_basedn(), expression=search_filter, attrs=["msDS-KeyVersionNumber"]
            )
            if int(str(found[0]["msDS-KeyVersionNumber"])) > version:
                return

    SamDB.setpassword = setpassword


def join(told):
    """`samba-tool domain join`, with the password in this process's memory alone."""
    if told["above"]:
        raise_keys_above(told["above"])
    words = ["domain", "join", told["realm"], "DC", "--server=" + told["dc"], "--dns-backend=SAMBA_INTERNAL"]
    words += ["--username=" + told["user"], "--password=" + told["password"]]
    words += ["--site=" + told["site"]] if told["site"] else []
    if samba_tool(*words):  # noqa: F821 - put before this
        raise RefusedError("join", "")


def introduce(told):
    """Tell the RID master of the new DC at once, and have a pool of RIDs from it.

    A DC that joins through the RID master gets its pool with the join. Any other has none, and makes no accounts, until
    the RID master has heard of it from its partner, and it asks again: its first try is refused, the next one comes
    after minutes.
    """
    from samba import drs_utils
    from samba.dcerpc import drsuapi, misc

    lp = loaded()
    there, creds = remote(lp, told), credentials(lp, told)
    base = str(there.get_default_basedn())
    master = rid_master(there, base)
    if master.lower() == told["dc"].lower():
        return
    try:
        socket.create_connection((master, 135), MASTER_SECONDS).close()  # Samba's own patience is longer
        bound, handle, _ = drs_utils.drsuapi_connect(master, lp, creds)
        for context in (str(there.get_config_basedn()), base):
            drs_utils.sendDsReplicaSync(
                bound, handle, there.get_ntds_GUID(), context, drsuapi.DRSUAPI_DRS_WRIT_REP
            )
        local = SamDB(url=lp.samdb_url(), session_info=system_session(), lp=lp)
        source = remote(lp, {**told, "dc": master}).get_invocation_id()
        binding = "ncacn_ip_tcp:%s[seal]" % master
        replicate = drs_utils.drs_Replicate(
            binding, lp, creds, local, misc.GUID(local.get_invocation_id())
        ).replicate
        replicate(
            "CN=RID Manager$,CN=System," + base,
            misc.GUID(source),
            misc.GUID(local.get_ntds_GUID()),
            exop=drsuapi.DRSUAPI_EXOP_FSMO_RID_ALLOC,
        )
    except Exception as error:
        raise RefusedError("rid", "%s: %s" % (master, error)) from None


def rid_master(samdb, base):
    """The full name of the DC that gives out RIDs."""
    found = samdb.search("CN=RID Manager$,CN=System," + base, SCOPE_BASE, attrs=["fSMORoleOwner"])
    settings = Dn(samdb, str(found[0]["fSMORoleOwner"]))
    return str(samdb.search(settings.parent(), SCOPE_BASE, attrs=["dNSHostName"])[0]["dNSHostName"])


def copy_sysvol(told):
    """The other DC's sysvol. What is no group policy keeps its NTACL; those have theirs by the directory, as ever."""
    from samba import ntacls
    from samba.dcerpc import security
    from samba.samba3 import libsmb_samba_internal as libsmb
    from samba.samba3 import param as s3param

    lp = loaded()
    s3_lp = s3param.get_context()
    s3_lp.load(lp.configfile)
    samdb = SamDB(url=lp.samdb_url(), session_info=system_session(), lp=lp)
    sid = security.dom_sid(samdb.get_domain_sid())
    accounts = opened_accounts(s3_lp, samdb, sid)
    creds = credentials(lp, told)
    creds.set_smb_signing(SMB_SIGNING_REQUIRED)
    try:
        theirs = ntacls.SMBHelper(libsmb.Conn(told["dc"], "sysvol", lp=s3_lp, creds=creds), sid)
        copy_folder(theirs, told["realm"] + "\\Policies", setter(lp, sid, accounts), "", SYSVOL)
        protect_policies(lp, samdb, sid, accounts, os.path.join(SYSVOL, told["realm"], "Policies"))
    except Exception as error:
        raise RefusedError("sysvol", "%s: %s" % (type(error).__name__, error)) from None


def opened_accounts(s3_lp, samdb, sid):
    """The accounts as smbd knows them; opened before smbd's functions are asked for anything, as setsysvolacl does."""
    from samba.samba3 import passdb

    s3_lp.set("passdb backend", "samba_dsdb:%s" % samdb.url)
    passdb.reload_static_pdb()
    accounts = passdb.PDB(s3_lp.get("passdb backend"))
    if passdb.get_global_sam_sid() != sid:
        raise RefusedError("sysvol", "this DC takes %s for the domain's SID" % passdb.get_global_sam_sid())
    return accounts


def setter(lp, sid, accounts):
    """A function that sets an NTACL so that it holds for this DC's own ids.

    An owner such as Domain Admins may have no user's id here: then Administrator's is taken for the files, and the
    NTACL keeps the owner.
    """
    from samba import ntacls
    from samba.auth_util import system_session_unix

    known = {"passdb": accounts, "skip_invalid_chown": True, "use_ntvfs": False, "service": "sysvol"}
    session = system_session_unix()
    return lambda path, sddl: ntacls.setntacl(lp, path, sddl, sid, session, **known)


def copy_folder(theirs, policies, set_acl, source, target):
    """A folder with all below it; made by smbd's own functions, as a client's would be."""
    from samba.auth_util import system_session_unix
    from samba.samba3 import smbd

    session = system_session_unix()
    ours = source.lower() != policies.lower() and not source.lower().startswith(policies.lower() + "\\")
    for entry in theirs.list(source):
        there, here = theirs.join(source, entry["name"]), os.path.join(target, entry["name"])
        if theirs.is_dir(entry["attrib"]):
            if not os.path.isdir(here):
                smbd.mkdir(here, session, "sysvol")
            copy_folder(theirs, policies, set_acl, there, here)
            continue
        if not os.path.isfile(here):
            smbd.create_file(here, session, "sysvol")
        with open(here, "wb") as sink:
            sink.write(theirs.loadfile(there))
        if ours:
            set_acl(here, theirs.get_acl(there, as_sddl=True))
    if ours:
        set_acl(target, theirs.get_acl(source, as_sddl=True))


def protect_policies(lp, samdb, sid, accounts, folder):
    """Each policy's NTACL from its object, as set_gpos_acl of samba.provision and `ntacl sysvolreset` do it.

    Not from the other DC: 4.24 leaves out what older versions put there, and refuses to set it (a policy's right to
    be applied is of no use on a file). A policy without files is passed over: it is no worse here than there.
    """
    from samba import provision
    from samba.dcerpc import security
    from samba.ndr import ndr_unpack
    from samba.ntacls import dsacl2fsacl

    if not os.path.isdir(folder):
        return
    # First what all of sysvol has: 4.22 and older set no POSIX ACL for an NTACL that they cannot map in full.
    provision.set_dir_acl(folder, provision.SYSVOL_ACL, lp, str(sid), use_ntvfs=False, passdb=accounts)
    setter(lp, sid, accounts)(folder, provision.POLICIES_ACL)
    base = "CN=Policies,CN=System,%s" % samdb.get_default_basedn()
    wanted = "(objectClass=groupPolicyContainer)"
    for policy in samdb.search(base=base, expression=wanted, attrs=["cn", "nTSecurityDescriptor"]):
        place = os.path.join(folder, str(policy["cn"]))
        if os.path.isdir(place):
            sddl = ndr_unpack(security.descriptor, policy["nTSecurityDescriptor"][0]).as_sddl()
            provision.set_dir_acl(
                place, dsacl2fsacl(sddl, sid), lp, str(sid), use_ntvfs=False, passdb=accounts
            )


def leave(told):
    """Take a join that was broken off out of the domain: whatever of it is there."""
    import logging

    from samba.join import DCJoinContext
    from samba.remove_dc import DemoteException, remove_dc

    lp = loaded()
    samdb = remote(lp, told)
    logger = logging.getLogger("leave")
    with contextlib.suppress(DemoteException):  # it has no NTDS settings, or not yet: an account at most
        remove_dc(samdb, logger, told["host"].upper())
    context = DCJoinContext(
        logger=logger, server=told["dc"], creds=credentials(lp, told), lp=lp, netbios_name=told["host"].upper(),
        dns_backend="SAMBA_INTERNAL",
    )  # fmt: skip
    context.cleanup_old_join(force=True)
    left = samdb.search(
        base=samdb.get_default_basedn(), expression="(sAMAccountName=%s$)" % told["host"], attrs=["dn"]
    )
    if len(left):
        raise RefusedError("left", str(left[0].dn))


VERBS = {
    "check": check,
    "known": known,
    "join": join,
    "sysvol": copy_sysvol,
    "introduce": introduce,
    "leave": leave,
}


def main():
    told = json.load(sys.stdin)
    try:
        VERBS[sys.argv[1]](told)
    except RefusedError as error:
        sys.stdout.flush()
        print(json.dumps({"kind": error.kind, "why": error.why}), flush=True)
        sys.exit(1)


main()
