"""The texts that a server finds in its /etc and /run: pure functions of its configuration."""

from galaxy.server.config import HostNetwork, ServerConfig
from galaxy.server.options import DNS_UPDATE, LATER
from galaxy.server.tls import DH_PARAMETERS

# samba_dnsupdate would otherwise start `nsupdate -g`, which an image does not carry.
_DNS_UPDATE = "/usr/sbin/samba_dnsupdate --use-samba-tool"


def smb_conf(config: ServerConfig, level: str = "") -> str:
    """smb.conf as a new server gets it; from then on it is the administrator's.

    `level` is the functional level that it claims, if Samba's default is too low for its domain.
    """
    # On the host's network lo belongs to everybody; in a network of its own the tools inside may use it.
    shared = isinstance(config.network, HostNetwork)
    interfaces = config.address if shared else f"lo {config.address}"
    forwarders = f"\tdns forwarder = {' '.join(config.dns_forwarders)}\n" if config.dns_forwarders else ""
    claimed = f"\tad dc functional level = {level}\n" if level else ""
    return f"""[global]
\tnetbios name = {config.hostname.upper()}
\trealm = {config.realm}
\tworkgroup = {config.domain}
\tserver role = active directory domain controller
\tidmap_ldb:use rfc2307 = yes
\tinterfaces = {interfaces}
\tbind interfaces only = yes
{forwarders}{claimed}\tdns update command = {_DNS_UPDATE}

[sysvol]
\tpath = /var/lib/samba/sysvol
\tread only = No

[netlogon]
\tpath = /var/lib/samba/sysvol/{config.dns_domain}/scripts
\tread only = No
"""


def host_files(config: ServerConfig, asks: str | None = None) -> dict[str, str]:
    """resolv.conf, krb5.conf, hosts, hostname, dhparams.pem, later.py and dns_update.py.

    The server asks itself, which is what dynamic DNS needs, unless it `asks` another DC because it joins its domain.
    """
    asked = asks or config.address
    return {
        "resolv.conf": f"search {config.dns_domain}\nnameserver {asked}\n",
        "krb5.conf": _krb5_conf(config, asked),
        "hosts": f"127.0.0.1 localhost\n::1 localhost\n{config.address} {config.fqdn} {config.hostname}\n",
        "hostname": f"{config.hostname}\n",
        "dhparams.pem": DH_PARAMETERS,
        "later.py": LATER,
        "dns_update.py": DNS_UPDATE,
    }


def _krb5_conf(config: ServerConfig, kdc: str) -> str:
    return f"""[libdefaults]
\tdefault_realm = {config.realm}
\tdns_lookup_realm = false
\tdns_lookup_kdc = true

[realms]
\t{config.realm} = {{
\t\tkdc = {kdc}
\t\tdefault_domain = {config.dns_domain}
\t}}

[domain_realm]
\t{config.hostname} = {config.realm}
\t.{config.dns_domain} = {config.realm}
"""
