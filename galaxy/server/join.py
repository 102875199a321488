"""Making a server by joining a domain: everything is asked and checked first, then its image's own Samba joins.

The new DC gets the directory by replication, and a copy of SYSVOL, which Samba never replicates. A join that is
broken off is taken out of the domain again, also by `recover` after a SIGKILL: for that the credentials lie in the
unfinished server's folder, mode 0600, until the join is done.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from galaxy.host.errors import CommandTimeoutError, GalaxyError, HostError, InputError, ServerError
from galaxy.host.files import open_log, write_atomic
from galaxy.host.journal import Entry, journal
from galaxy.host.lock import locked
from galaxy.host.process import Completed
from galaxy.host.progress import say, step
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.host.undo import undoes
from galaxy.image.sealed import require_unchanged
from galaxy.release.version import Version
from galaxy.server import names
from galaxy.server.config import NamespaceNetwork, Server, ServerConfig
from galaxy.server.container import delete, run_once, sandbox, write_bundle
from galaxy.server.create import CreateRequest, alone, begin, commit, plan, require_new
from galaxy.server.inside import smb_conf
from galaxy.server.network import bring_up, joined, namespace_of, take_down
from galaxy.server.provision import INIT, why_failed
from galaxy.server.rootfs import image_of, rootfs_of
from galaxy.server.script import with_samba_tool
from galaxy.server.survey import Domain, survey
from galaxy.server.tls import write_certificate

ADMINISTRATOR = "Administrator"
_WAIT = 120.0
_CHECK_SECONDS = 60.0
_INTRODUCE_SECONDS = 60.0
_LEAVE_SECONDS = 120.0
# Kerberos refuses tickets of clocks that differ by more (RFC 4120 1.6).
_MOST_SKEW = 300.0
# What `ad dc functional level` calls the levels above the default one (4, 2008 R2); the option came with 4.19.
_LEVELS = {5: "2012", 6: "2012_R2", 7: "2016"}
_LEVELS_SINCE = Version.parse("4.19.0")
_SCRIPT = Path(__file__).parent / "tools" / "join.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """What a new server of an existing domain shall be.

    `server.password` is `user`'s, who may add DCs; `server.domain` is left out, for the domain tells it. `dc` is the
    address of a running DC; without a `site` the new one is put into the site of that DC. The version of its account's
    keys will be `above` that number: one that takes another's place has other keys under other versions.
    """

    server: CreateRequest
    dc: str
    user: str = ADMINISTRATOR
    site: str | None = None
    above: int = 0

    def __post_init__(self) -> None:
        names.user_name(self.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the script inside gets on its standard input, and the address that it asks for names and tickets."""

    dc: str
    address: str
    user: str
    realm: str
    host: str
    site: str
    above: int = 0
    password: str = field(repr=False)

    def as_json(self) -> str:
        """The script's input."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def join(store: Store, settings: Settings, request: JoinRequest) -> Server:
    """Create a server that is one more DC of a domain; it is not started.

    Raises InputError for anything that cannot be taken, HostError for a wrong clock, ServerError when the join fails;
    nothing is left then, in the domain neither.
    """
    name = names.server_name(request.server.name)
    with locked(store, f"server-{name}", wait=_WAIT), alone(store, request.server):
        require_new(store, name)
        domain = survey(names.ipv4(request.dc), _namespace(request))
        config = plan(store, replace(request.server, domain=_checked(domain, request).netbios))
        server = Server(store=store, config=config)
        require_unchanged(image_of(server))
        with journal(store, "join", name) as entry:
            join_held(entry, server, request, domain, settings)
        forget_join(server)
    return server


def join_held(entry: Entry, server: Server, request: JoinRequest, domain: Domain, settings: Settings) -> None:
    """Fill a new server's folder by a join, by a caller that holds its lock and knows what its config will be."""
    level = _level(domain, Version.parse(image_of(server).version))
    begin(entry, server)
    (server.etc / "smb.conf").write_text(smb_conf(server.config, level), encoding="utf-8")
    bring_up(entry, server)
    _require_reached(server, request.dc)
    _join(entry, server, _asked(request, server.config, domain), settings)
    take_down(server)
    _finish(server, request)


def _require_reached(server: Server, dc: str) -> None:
    """InputError when the DC, which the host has reached, does not answer in the new server's own network."""
    try:
        survey(dc, namespace_of(server))
    except InputError as error:
        raise InputError(
            f"in the network of {server.name}, {server.config.address}: {error.message}",
            "Private servers reach each other within a /24, and the host: give --address one of the DC's /24.",
        ) from None


def require_joinable(request: JoinRequest, domain: Domain, version: Version) -> None:
    """Refuse what `join` would refuse of a domain before it asks for the logon: InputError or HostError."""
    _checked(domain, request)
    _level(domain, version)


def is_known(server: Server, request: JoinRequest, domain: Domain) -> bool:
    """Whether the domain has a DC of `server`'s name; raises what is wrong with the request's logon."""
    asked = _asked(request, server.config, domain)
    done = _run(server, "known", asked, _CHECK_SECONDS)
    if done.returncode != 0 and _last_json(done.stdout).get("kind") != "known":
        raise _refusal(done, server, asked)
    return done.returncode != 0


def leave(server: Server, request: JoinRequest, domain: Domain) -> None:
    """Have a DC of `server`'s name removed from the domain, by that server's own image; it may be gone already."""
    asked = _asked(request, server.config, domain)
    _require(_run(server, "leave", asked, _LEAVE_SECONDS), server, asked)


def _namespace(request: JoinRequest) -> Path | None:
    network = request.server.network
    return network.path if isinstance(network, NamespaceNetwork) else None


def _checked(domain: Domain, request: JoinRequest) -> Domain:
    realm = names.realm_name(request.server.realm)
    if domain.realm != realm:
        raise InputError(
            f"{request.dc} is a DC of {domain.realm}, not of {realm}",
            f"Give --realm {domain.realm}, or --dc the address of a DC of {realm}.",
        )
    if domain.dc == f"{request.server.hostname or request.server.name}.{realm.lower()}":
        # Asked later, it would look for that name at its own address.
        raise _taken(realm, domain.dc.partition(".")[0].upper(), f"{domain.dc} at {request.dc}")
    if abs(domain.skew) > _MOST_SKEW:
        ahead = "behind" if domain.skew > 0 else "ahead of"
        raise HostError(
            f"this host's clock is {abs(domain.skew):.0f} s {ahead} {domain.dc}'s; Kerberos allows "
            f"{_MOST_SKEW:.0f} s",
            "Set the clocks by the same time server, then join.",
        )
    if not request.server.password:
        raise InputError(f"joining needs {request.user}'s password", "Give it with --admin-password-file.")
    return domain


def _level(domain: Domain, version: Version) -> str:
    """The functional level to claim in smb.conf; '' when Samba's default is enough."""
    if domain.level not in _LEVELS:
        return ""
    if version < _LEVELS_SINCE:
        raise InputError(
            f"the functional level of {domain.realm} is {_LEVELS[domain.level]}, and Samba {version} "
            "knows none above 2008_R2",
            f"Join with Samba {_LEVELS_SINCE} or newer.",
        )
    return _LEVELS[domain.level]


def _asked(request: JoinRequest, config: ServerConfig, domain: Domain) -> _Asked:
    return _Asked(
        dc=domain.dc,
        address=request.dc,
        user=request.user,
        realm=config.dns_domain,
        host=config.hostname,
        site=request.site or "",
        above=request.above,
        password=request.server.password or "",
    )


def _join(entry: Entry, server: Server, asked: _Asked, settings: Settings) -> None:
    with step(f"asking {asked.dc}"):
        _require(_run(server, "check", asked, _CHECK_SECONDS), server, asked)
    note = server.joining
    body = {
        "root": str(server.store.root),
        "config": server.config.model_dump(mode="json"),
        "asked": asked.as_json(),
    }
    write_atomic(note, json.dumps(body), 0o600)
    entry.on_failure("join", note)
    for verb, title in (("join", f"joining {server.config.realm}"), ("sysvol", "copying SYSVOL")):
        with step(title):
            done = _run(server, verb, asked, settings.join_timeout)
        with open_log(server.log / "join.log") as log:
            log.write(done.output.replace(asked.password, "(password)").encode())
        _require(done, server, asked)
    _introduce(server, asked)


def _introduce(server: Server, asked: _Asked) -> None:
    """Make the new DC known to the RID master, which may be away: then that is told, and Samba does it in its time."""
    try:
        done = _run(server, "introduce", asked, _INTRODUCE_SECONDS)
        why = "" if done.returncode == 0 else str(_last_json(done.stdout).get("why") or why_failed(done))
    except ServerError as error:
        why = error.message
    if why:
        say(
            f"{server.name} makes no accounts yet: the RID master cannot be asked for a pool of RIDs "
            f"({why}). Samba asks again by itself."
        )


def _finish(server: Server, request: JoinRequest) -> None:
    """Whose password is kept: Administrator's, as `create` keeps it, and nobody else's."""
    write_certificate(server)
    if request.user.lower() == ADMINISTRATOR.lower():
        write_atomic(server.secrets / "admin-password", f"{request.server.password}\n", 0o600)
    commit(server)


def forget_join(server: Server) -> None:
    """Remove the note by which a broken-off join leaves the domain, after the journal that would do so."""
    server.joining.unlink(missing_ok=True)


def _run(server: Server, verb: str, asked: _Asked, timeout: float) -> Completed:
    argv = (INIT, *with_samba_tool(_SCRIPT.read_text(encoding="utf-8")), verb)
    box = sandbox(server, rootfs_of(server), argv, joined(server))
    bundle = write_bundle(server, box, asks=asked.address)
    try:
        return run_once(server, bundle, asked.as_json(), timeout)
    except CommandTimeoutError:
        raise ServerError(
            f"{asked.dc} did not come to an end with {server.name} within {timeout:g} s ({verb})",
            "See that it answers LDAP, Kerberos, SMB and RPC; a large domain may need a higher join_timeout.",
        ) from None


def _require(done: Completed, server: Server, asked: _Asked) -> None:
    if done.returncode != 0:
        raise _refusal(done, server, asked)


def _refusal(done: Completed, server: Server, asked: _Asked) -> GalaxyError:
    told = _last_json(done.stdout)
    host, realm, why = asked.host.upper(), server.config.realm, told.get("why") or why_failed(done)
    match told.get("kind"):
        case "logon":
            # 52e: ERROR_LOGON_FAILURE, a wrong name or password; others say more.
            plain = (
                "no such user, or another password" if "data 52e" in why or "LOGON_FAILURE" in why else why
            )
            return InputError(
                f"{realm} refuses {asked.user}: {plain}",
                "Give --admin-user and --admin-password-file of one it takes.",
            )
        case "unreachable":
            return InputError(
                f"{asked.dc} cannot be talked to: {why}", "See that its LDAP, Kerberos and DNS answer."
            )
        case "taken":
            return _taken(realm, host, why)
        case "site":
            return InputError(
                f"{realm} has no site {asked.site}; it has {why}", "Give one of those with --site."
            )
        case "sysvol":
            return ServerError(
                f"the SYSVOL of {asked.dc} cannot be copied: {why}", "See that its SMB answers."
            )
        case _:
            return _join_failed(server, asked, why_failed(done))


def _taken(realm: str, host: str, where: str) -> InputError:
    return InputError(
        f"{realm} has a {host} already: {where}",
        "Give another name with --hostname. If it was a DC that is gone, remove it on one that runs: "
        f"samba-tool domain demote --remove-other-dead-server={host}",
    )


def _join_failed(server: Server, asked: _Asked, why: str) -> GalaxyError:
    if "insufficient" in why.lower() or "ACCESS_DENIED" in why:
        return InputError(
            f"{asked.user} may not add a DC to {server.config.realm}: {why}",
            "Give --admin-user a member of Domain Admins.",
        )
    return ServerError(
        f"{server.name} could not join {server.config.realm}: {why}", "See that the DC is well."
    )


def _last_json(text: str) -> dict[str, str]:
    lines = text.strip().splitlines()
    try:
        found: Any = json.loads(lines[-1]) if lines else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


@undoes("join")
def _leave(target: str) -> None:
    """Take a broken-off join out of the domain, as far as the domain can be reached; what is left is said."""
    note = Path(target)
    if not note.exists():
        return
    body = json.loads(note.read_text(encoding="utf-8"))
    server = Server(store=Store(root=Path(body["root"])), config=ServerConfig.model_validate(body["config"]))
    asked = _Asked(**json.loads(body["asked"]))
    try:
        delete(server)
        with journal(server.store, "leave", server.name) as entry:
            bring_up(entry, server)
            _require(_run(server, "leave", asked, _LEAVE_SECONDS), server, asked)
    except GalaxyError as error:
        host = asked.host.upper()
        say(
            f"{server.config.realm} may still have a half-joined {host} ({error.message}); on a DC that runs: "
            f"samba-tool domain demote --remove-other-dead-server={host}"
        )
    note.unlink()
