"""Whether the server itself is well: its configuration, database, processes and logs."""

import json
import re
from collections.abc import Mapping
from typing import Any

from verify.bench import Bench
from verify.check import NotApplicable, check
from verify.clients.kcc import runs_kcc
from verify.clients.ldap import samba_version
from verify.clients.sambalog import deaths, disasters, text_of, texts_of
from verify.clients.waiting import REGISTRATION, within
from verify.target import Shell, Target

# What a domain controller consists of, as `samba-tool processes` calls it.
_SERVICES = {
    "ldap_server",
    "cldap_server",
    "kdc_server",
    "rpc_server",
    "dnssrv",
    "dreplsrv",
    "kccsrv",
    "winbind_server",
}

# dbcheck counts these as errors. Who leaves a group and is deleted later leaves one in any healthy domain; it ends with
# the tombstone (dbchecker.py, err_deleted_dn with remove_plausible).
_STALE_LINK = "WARNING: target DN is deleted for "
# How samba-tool writes a time that has not come yet.
_NEVER = "NTTIME(0)"


@check("health.testparm", loses="the server would ignore or misread its configuration")
def test_configuration(shell: Shell) -> None:
    done = shell("testparm", "-s")
    assert done.returncode == 0, f"testparm: {done.output}"
    assert "ROLE_ACTIVE_DIRECTORY_DC" in done.output, (
        f"not a domain controller's configuration: {done.output}"
    )
    complaints = [
        line for line in done.output.splitlines() if re.search(r"Unknown parameter|ERROR|Invalid", line)
    ]
    assert not complaints, f"testparm complains: {complaints}"


@check("health.version", loses="a version would be judged, and used, that nobody has asked for", tier="smoke")
def test_version(target: Target) -> None:
    if target.version is None:
        raise NotApplicable("the target's version is not known")
    says = samba_version(target.address)
    assert says == target.version, f"expected Samba {target.version}, the server says {says}"


@check("health.processes", loses="parts of the server would be missing", tier="smoke")
def test_processes(shell: Shell) -> None:
    listings = [""]

    def all_there() -> bool:
        """Whether each has registered itself; winbindd does so last, when the server answers clients already."""
        done = shell("samba-tool", "processes")
        assert done.returncode == 0, f"samba-tool processes: {done.output}"
        listings.append(done.stdout)
        return not _missing(done.stdout)

    within(REGISTRATION, all_there)
    missing = _missing(listings[-1])
    assert not missing, f"no process serves {missing}:\n{listings[-1]}"


def _missing(listing: str) -> list[str]:
    return sorted(name for name in _SERVICES if not re.search(rf"^{name}\b", listing, re.MULTILINE))


@check("health.logs", loses="crashes that clients did not notice yet would go on", tier="smoke", last=True)
def test_logs_tell_no_disaster(target: Target) -> None:
    if target.log_folder is None:
        raise NotApplicable("the target's log folder is not known")
    logs = texts_of(target.log_folder)
    assert logs, f"no log files in {target.log_folder}"
    found = [f"{name}: {line}" for name, text in logs.items() for line in disasters(text)]
    assert not found, f"{len(found)} lines such as {found[:3]}"


@check(
    "health.workers",
    loses="processes that end in error and are made anew would drop clients unnoticed",
    last=True,
)
def test_no_process_died(target: Target) -> None:
    if target.log_folder is None:
        raise NotApplicable("the target's log folder is not known")
    main = target.log_folder / "log.samba"
    if not main.exists():
        raise NotApplicable(f"Samba's main log is not {main} (log file, logging)")
    found = deaths(text_of(main))
    assert not found, f"{len(found)} of the server's processes ended by themselves: {found[:3]}"


@check("health.dns-update", loses="the server would not keep its own DNS records right")
def test_own_dns_records(shell: Shell) -> None:
    told = shell("testparm", "-s", "--parameter-name=dns update command", check=True)
    private = shell("testparm", "-s", "--parameter-name=private dir", check=True).stdout.strip()

    def registered() -> bool:
        """What the server has registered it writes down at the end of that."""
        return shell("sh", "-c", f"test -s '{private}/dns_update_cache'").returncode == 0

    # After its first start the server registers itself in its own time. Its program would mend what it finds missing.
    assert within(REGISTRATION, registered), f"the server has registered nothing within {REGISTRATION:g} s"
    # Samba's default would look for nsupdate before it asks whether there is anything to do.
    command = told.stdout.split()
    command += ["--use-samba-tool"] if len(command) == 1 else []
    done = shell(*command, "--verbose")
    assert done.returncode == 0, f"{' '.join(command)}: {_last_lines(done.output)}"
    assert "No DNS updates needed" in done.output, f"records were missing: {_last_lines(done.output)}"


@check("health.replication", loses="changes would not reach other domain controllers, or fail unnoticed")
def test_replication_status(shell: Shell, target: Target, bench: Bench) -> None:
    told = _replication(shell)
    assert told["dsa"]["objectGUID"], "the server does not know itself"
    noted = _failures(told)
    if any(not link.get("DSA") for _, link in noted):
        # A DC that the domain has forgotten: the KCC takes the link away, by itself every five minutes.
        ran = within(REGISTRATION, lambda: runs_kcc(shell, target.fqdn))
        assert ran, f"the KCC of {target.fqdn} does not run when it is asked to"
        told = _replication(shell)
        noted = _failures(told)
    words = [
        f"{link['NC dn']} {way} {link.get('DSA')}: {link['last attempt message']}, last good {link['last success']}"
        for way, link in noted
    ]
    # The first that fails now is enough: a partner that is away would be waited for once a link.
    works = all(_replicates(shell, target, link, inward=way == "from") for way, link in noted)
    assert works, f"replication of {target.fqdn} fails: {words}"
    configuration = f"CN=Configuration,{target.base_dn}"
    controllers = bench.admin.search(configuration, "(objectClass=nTDSDSA)", ["cn"])
    fetched = {link["NC dn"].lower() for link in told["repsFrom"] if _NEVER not in link["last success"]}
    wanted = {target.base_dn.lower(), configuration.lower()} if len(controllers) > 1 else set()
    assert fetched >= wanted, f"{target.fqdn} has never read {sorted(wanted - fetched)} from another DC"


def _replication(shell: Shell) -> Any:
    """What the server knows of its replication (samba-tool drs showrepl --json)."""
    done = shell("samba-tool", "drs", "showrepl", "--json", "-P")
    assert done.returncode == 0, f"samba-tool drs showrepl: {_last_lines(done.output)}"
    return json.loads(done.stdout[done.stdout.index("{") :])


def _failures(told: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """The links, "from" or "to" others, whose last try has failed."""
    return [
        (way, link)
        for way, links in (("from", told["repsFrom"]), ("to", told["repsTo"]))
        for link in links
        if link["consecutive failures"]
    ]


def _replicates(shell: Shell, target: Target, link: Mapping[str, Any], *, inward: bool) -> bool:
    """Whether it works now: a failure while the other DC was away stays noted until the next try, minutes later.

    Once more when a connection is gone: the first try may meet the one that was kept to the DC of before.
    """
    partner = str(link.get("DSA") or "").rpartition("\\")[2]
    if not partner:
        return False  # forgotten by the domain, and still there for the KCC
    there = f"{partner}.{target.dns_domain}"
    pair = (target.fqdn, there) if inward else (there, target.fqdn)
    command = ("samba-tool", "drs", "replicate", *pair, str(link["NC dn"]), "-P")
    done = shell(*command, timeout=60)
    if "WERR_NETNAME_DELETED" in done.output:
        done = shell(*command, timeout=60)
    return done.returncode == 0


@check("health.dbcheck", loses="damage in the database would grow until accounts are lost", last=True)
def test_database(shell: Shell) -> None:
    done = shell("samba-tool", "dbcheck", "--cross-ncs", timeout=300)
    summary = re.search(r"Checked (\d+) objects \((\d+) errors\)", done.output)
    assert summary is not None, f"dbcheck came to no end: {_last_lines(done.output)}"
    objects, errors = int(summary[1]), int(summary[2])
    assert objects > 1000, f"dbcheck saw only {objects} objects"
    assert errors == done.output.count(_STALE_LINK), f"{errors} errors: {_errors(done.output)}"
    # Without one it must have ended well; with stale links it ends with 1 (netcmd/dbcheck.py).
    assert done.returncode == min(errors, 1), (
        f"dbcheck ended with {done.returncode}: {_last_lines(done.output)}"
    )


def _errors(text: str) -> str:
    """What dbcheck says of errors, without its notes and what it would do."""
    return "\n".join(line for line in text.splitlines() if line.startswith("ERROR")) or _last_lines(text)


def _last_lines(text: str, count: int = 6) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
