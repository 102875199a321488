"""adcli, with which realmd and SSSD make Linux systems members of a domain."""

import os
from dataclasses import dataclass

from galaxy.host.process import Completed
from verify.bench import Bench, unique
from verify.check import NotApplicable
from verify.clients.kerberos import Kerberos
from verify.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """A computer that may be a member: nothing of it is on this host but its keytab, once it has joined."""

    name: str
    keytab: str
    kerberos: Kerberos
    target: Target

    @property
    def fqdn(self) -> str:
        """Its host name in the domain."""
        return f"{self.name.lower()}.{self.target.dns_domain}"

    @property
    def principal(self) -> str:
        """The computer's own account."""
        return f"{self.name}$@{self.target.realm}"

    def join(self, ou: str) -> Completed:
        """Become a member, with an account in that OU, as the administrator."""
        return self._as_admin("join", "--login-type", "user", "--domain-ou", ou, *self._who, *self._keys)

    def test(self) -> Completed:
        """Ask whether it is one still."""
        return self._run("testjoin", *self._keys)

    def renew(self) -> Completed:
        """Change its password, as members do each month by themselves."""
        return self._run("update", "--computer-password-lifetime=0", *self._who, *self._keys)

    def leave(self) -> Completed:
        """Have its account removed, as the administrator."""
        return self._as_admin("delete-computer", self.fqdn)

    def log_on(self, keytab: str = "") -> tuple[str, Completed]:
        """Ask for a TGT with the keytab's newest key; its credential cache, and what kinit said."""
        return self.kerberos.by_keytab(self.principal, keytab or self.keytab)

    @property
    def _who(self) -> tuple[str, ...]:
        return ("--computer-name", self.name, "--host-fqdn", self.fqdn)

    @property
    def _keys(self) -> tuple[str, ...]:
        return ("--host-keytab", self.keytab)

    def _as_admin(self, verb: str, *options: str) -> Completed:
        login = ("--login-user", self.target.admin_user, "--stdin-password")
        return self._run(verb, *login, *options, stdin=self.target.password)

    def _run(self, verb: str, *options: str, stdin: str | None = None) -> Completed:
        where = ("--domain", self.target.dns_domain, "--domain-controller", self.target.fqdn)
        return self.kerberos.run(*self._knowing, "adcli", verb, "--verbose", *where, *options, stdin=stdin)

    @property
    def _knowing(self) -> tuple[str, ...]:
        """What to put before a program that must find the target by its name, as this host may not."""
        hosts = self.kerberos.file("hosts.")
        hosts.write_text(f"127.0.0.1 localhost\n{self.target.address} {self.target.fqdn}\n", encoding="utf-8")
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", script, str(hosts))


def computer(bench: Bench) -> Computer:
    """A computer with a new name; not applicable to those who may not give adcli a hosts file of its own."""
    if os.geteuid() != 0:
        raise NotApplicable("needs root, to tell adcli where the domain controller is")
    keytab = bench.kerberos.file("keytab.")
    keytab.unlink()
    return Computer(
        name=unique("GJ").upper(), keytab=str(keytab), kerberos=bench.kerberos, target=bench.target
    )
