"""MIT Kerberos's own programs, with a configuration that knows only the target's KDC."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import krb5

from galaxy.host.errors import CommandError
from galaxy.host.process import Completed, run
from verify.clients.waiting import REGISTRATION, within
from verify.target import Target

_VARIABLE = "KRB5_CONFIG"
# How libkrb5 words KDC_ERR_S_PRINCIPAL_UNKNOWN and KDC_ERR_C_PRINCIPAL_UNKNOWN (RFC 4120, section 7.5.9).
UNKNOWN_PRINCIPAL = "not found in Kerberos database"
# TCP first, for a PAC does not fit into a datagram anyway and a lost one would cost a second. Clocks are taken as
# they are, so that a server with a wrong one shows.
_CONFIG = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  kdc_timesync = 0
  udp_preference_limit = {udp_limit}
  {more}
[realms]
  {realm} = {{
    kdc = {address}
    admin_server = {address}
    kpasswd_server = {address}
  }}
[domain_realm]
  .{domain} = {realm}
  {domain} = {realm}
"""


class Kerberos:
    """kinit, kvno and friends for one target; caches and configurations live in `folder` and go with it."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._target = target
        self.folder = folder
        self.config = self.configuration()
        self._admin: str = ""

    @contextmanager
    def known(self) -> Iterator[None]:
        """Let libkrb5 in this process know the KDC, too: it reads nothing but the environment."""
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = str(self.config)
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = before

    def configuration(self, more: str = "", *, udp_limit: int = 1) -> Path:
        """A krb5.conf of its own, with further lines for [libdefaults]; `udp_limit` 1 means TCP first."""
        text = _CONFIG.format(
            realm=self._target.realm,
            domain=self._target.dns_domain,
            address=self._target.address,
            udp_limit=udp_limit,
            more=more,
        )
        path = self.file("krb5.conf.")
        path.write_text(text, encoding="utf-8")
        return path

    def rc4_configuration(self, *, only: bool = False) -> Path:
        """A krb5.conf that allows RC4, with `only` nothing else."""
        allow = "allow_weak_crypto = true\n  allow_rc4 = true\n  "
        alone = "default_tkt_enctypes = arcfour-hmac\n  permitted_enctypes = arcfour-hmac\n"
        return self.configuration(allow + alone if only else allow)

    def file(self, prefix: str) -> Path:
        """A new empty file in the private folder."""
        with NamedTemporaryFile(dir=self.folder, prefix=prefix, delete=False) as made:
            return Path(made.name)

    @property
    def admin(self) -> str:
        """A credential cache with the administrator's TGT, got once."""
        if not self._admin:
            self._admin = self.kinit(self._target.admin_principal, self._target.password)
        return self._admin

    def kinit(self, principal: str, password: str, *options: str, config: Path | None = None) -> str:
        """Get a TGT; returns its credential cache. Raises CommandError with the KDC's reason."""
        cache = str(self.file("ccache."))
        done = self.try_kinit(principal, password, *options, cache=cache, config=config)
        if done.returncode != 0:
            raise CommandError(done.argv, done.returncode, done.output)
        return cache

    def try_kinit(
        self, principal: str, password: str, *options: str, cache: str = "", config: Path | None = None
    ) -> Completed:
        """Ask for a TGT and return what kinit said, good or bad."""
        cache = cache or str(self.file("ccache."))
        return self.run("kinit", *options, principal, cache=cache, stdin=password + "\n", config=config)

    def by_keytab(self, principal: str, keytab: str) -> tuple[str, Completed]:
        """Ask for a TGT with a keytab's newest key; its credential cache, and what kinit said, good or bad."""
        cache = str(self.file("ccache."))
        return cache, self.run("kinit", "-k", "-t", keytab, principal, cache=cache)

    def service_ticket(self, principal: str, *options: str, cache: str = "") -> Completed:
        """Ask for a service ticket with kvno and return what it said."""
        return self.run("kvno", *options, principal, cache=cache or self.admin)

    def own_ticket(self, principal: str, *options: str, cache: str = "") -> Completed:
        """As `service_ticket`, for a name that the server registers itself: in its own time after its first start."""
        answers: list[Completed] = []

        def known() -> bool:
            answers.append(self.service_ticket(principal, *options, cache=cache))
            return UNKNOWN_PRINCIPAL not in answers[-1].output

        within(REGISTRATION, known)
        return answers[-1]

    def trace(self, *argv: str, stdin: str | None = None, config: Path | None = None) -> str:
        """Run a program, which has to succeed; what libkrb5 says it exchanged (KRB5_TRACE), then its own output."""
        log = self.file("trace.")
        cache = str(self.file("ccache."))
        done = self.run(*argv, cache=cache, stdin=stdin, config=config, env={"KRB5_TRACE": str(log)})
        said = log.read_text(encoding="utf-8", errors="replace") + done.output
        assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}:\n{said}"
        return said

    def keytab(self, principal: str, password: str) -> str:
        """A keytab with the principal's AES-256 key, whose salt the KDC told; returns its path."""
        path = self.file("keytab.")
        path.unlink()
        script = (
            f"addent -password -p {principal} -k 1 -e aes256-cts-hmac-sha1-96 -f\n{password}\nwkt {path}\nq\n"
        )
        done = self.run("ktutil", stdin=script)
        assert path.exists(), f"ktutil made no keytab: {done.output}"
        return str(path)

    def kpasswd(self, principal: str, old: str, new: str) -> Completed:
        """Change a password as its owner does."""
        return self.run("kpasswd", principal, stdin=f"{old}\n{new}\n{new}\n")

    def refusal_at(self, principal: str, password: str, offset: int) -> int:
        """Ask for a TGT with a clock that is `offset` seconds ahead; libkrb5's error code, 0 for a ticket."""
        context = krb5.init_context()
        krb5.set_real_time(context, int(time.time()) + offset, 0)
        try:
            krb5.get_init_creds_password(
                context,
                krb5.parse_name_flags(context, principal.encode()),
                krb5.get_init_creds_opt_alloc(context),
                password=password.encode(),
            )
        except krb5.Krb5Error as error:
            return int(error.err_code)
        return 0

    def tickets(self, cache: str) -> str:
        """What klist says of a cache, with enctypes and flags."""
        return self.run("klist", "-e", "-f", "-C", cache=cache).stdout

    def run(
        self,
        *argv: str,
        cache: str = "",
        stdin: str | None = None,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program under the private configuration and a cache; never raises for its exit code."""
        extra = {"KRB5_CONFIG": str(config or self.config), **(env or {})}
        if cache:
            extra["KRB5CCNAME"] = f"FILE:{cache}"
        return run(argv, stdin=stdin, env=extra, timeout=20, check=False)


def enctypes(tickets: str, service: str) -> tuple[str, str]:
    """The enctypes of session key and ticket that `Kerberos.tickets` tells for the last service named like this."""
    after = tickets.rpartition(f"  {service}")[2]
    found = re.search(r"Etype \(skey, tkt\): (?:DEPRECATED:)?(\S+), (?:DEPRECATED:)?(\S+)", after)
    assert found is not None, f"no ticket for {service} in: {tickets}"
    return found[1], found[2]
