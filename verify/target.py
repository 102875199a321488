"""What is being checked, and with which credentials: one domain controller, built by Galaxy or not."""

import ipaddress
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import InputError
from galaxy.host.files import read_password
from galaxy.host.process import Completed, run
from galaxy.host.settings import parse_toml
from galaxy.release.version import Version
from verify.check import NotApplicable

_Value = TypeVar("_Value")


class Shell(Protocol):
    """Runs a command inside the server."""

    def __call__(
        self, *argv: str, stdin: str | None = None, timeout: float = 60.0, check: bool = False
    ) -> Completed:
        """Run to the end; a non-zero exit raises CommandError only with `check`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One domain controller and an administrator of its domain.

    `realm` is in capitals, `domain` the NetBIOS name, `fqdn` the host name that tickets are made for;
    clients connect to `address` and never look names up. `version` is None for an AD that is not Samba.
    `log_folder` is the server's /var/log/samba as this host sees it, `pid` its first process when it runs on
    this host in namespaces of its own. `forwarder` is an address of this host that the server asks for names outside
    its domain, at which a check may answer. `ntlm` is False where it lets nobody in by NTLM
    (`ntlm auth = disabled`): who has a password logs on by Kerberos there.
    """

    address: str
    fqdn: str
    realm: str
    domain: str
    base_dn: str
    admin_user: str
    password: str = field(repr=False)
    version: Version | None = None
    # Two shells into one server are equal in all but identity: what is shared at a place is found again by its target.
    shell: Shell | None = field(default=None, repr=False, compare=False)
    log_folder: Path | None = None
    pid: int | None = None
    forwarder: str = ""
    ntlm: bool = True

    @property
    def dns_domain(self) -> str:
        """The realm as a DNS name, in small letters."""
        return self.realm.lower()

    @property
    def hostname(self) -> str:
        """The first label of the FQDN."""
        return self.fqdn.partition(".")[0]

    @property
    def admin_principal(self) -> str:
        """The administrator as a Kerberos principal."""
        return f"{self.admin_user}@{self.realm}"

    def since(self, version: str) -> bool:
        """Whether the server is at least this Samba; an AD that is not Samba counts as the newest."""
        return self.version is None or self.version >= Version.parse(version)

    def require_ntlm(self) -> None:
        """Raise NotApplicable where nobody gets in by NTLM."""
        if not self.ntlm:
            raise NotApplicable("the server has NTLM switched off (ntlm auth = disabled)")

    def expect(self, *, old: _Value, new: _Value, since: str) -> _Value:
        """What a check must find: `old` below the version, `new` from it on."""
        return new if self.since(since) else old


class _TargetFile(BaseModel):
    """A target's TOML file. `shell` is an argv that a command is appended to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    address: str
    fqdn: str
    realm: str
    domain: str
    password_file: str
    base_dn: str = ""
    admin_user: str = "Administrator"
    version: str = ""
    shell: list[str] = []
    log_folder: str = ""
    pid: int = 0
    forwarder: str = ""
    ntlm: bool = True


def load_target(file: Path) -> Target:
    """Read a target from TOML; paths in it are relative to the file. InputError says which key is wrong."""
    body = parse_toml(file, _TargetFile, "Give the domain controller's file; docs/targets.md has its keys.")
    return _from_file(body, file.resolve().parent)


def _from_file(body: _TargetFile, folder: Path) -> Target:
    realm = body.realm.upper()
    return Target(
        address=body.address,
        fqdn=body.fqdn.lower(),
        realm=realm,
        domain=body.domain.upper(),
        base_dn=body.base_dn or ",".join(f"DC={label}" for label in realm.lower().split(".")),
        admin_user=body.admin_user,
        password=read_password(folder / body.password_file),
        version=Version.parse(body.version) if body.version else None,
        shell=prefix_shell(_program(body.shell)) if body.shell else None,
        log_folder=_there(folder / body.log_folder, "log_folder") if body.log_folder else None,
        pid=_process(body.pid) if body.pid else None,
        forwarder=_ipv4(body.forwarder, "forwarder") if body.forwarder else "",
        ntlm=body.ntlm,
    )


def _program(argv: list[str]) -> list[str]:
    if shutil.which(argv[0]) is None:
        raise InputError(f"shell: there is no program {argv[0]}", "Name one that this host has.")
    return argv


def _process(pid: int) -> int:
    _there(Path("/proc", str(pid)), "pid")
    return pid


def _ipv4(text: str, key: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ipaddress.AddressValueError:
        raise InputError(f"{key}: {text!r} is not an IPv4 address", "Write it like 192.0.2.1.") from None


def _there(path: Path, key: str) -> Path:
    if not path.is_dir():
        raise InputError(f"{key}: there is no {path}", "Correct it, or leave the key out.")
    return path


def prefix_shell(prefix: Sequence[str]) -> Shell:
    """A shell that puts an argv (nsenter, ssh, ...) before every command."""
    return command_shell(lambda argv: [*prefix, *argv])


def command_shell(wrap: Callable[[Sequence[str]], Sequence[str]]) -> Shell:
    """A shell out of a function that turns an argv in the server into an argv on this host."""

    def shell(*argv: str, stdin: str | None = None, timeout: float = 60.0, check: bool = False) -> Completed:
        return run(wrap(argv), stdin=stdin, timeout=timeout, check=check)

    return shell
