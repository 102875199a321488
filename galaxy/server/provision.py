"""Making a domain: Samba's own provision, run inside the image with the server's folders mounted.

The password goes in by standard input, so that no process ever has it in its argv (tools/provision.py).
"""

import json
import re
import secrets
import shutil
import string
from pathlib import Path

from galaxy.host.errors import CommandTimeoutError, HostError, InputError, ServerError
from galaxy.host.files import MORE_SPACE, says_full, write_atomic
from galaxy.host.process import Completed
from galaxy.server.config import Server
from galaxy.server.container import run_once, runtime_words, sandbox, write_bundle
from galaxy.server.rootfs import rootfs_of
from galaxy.server.sandbox import Isolated
from galaxy.server.script import with_samba_tool

INIT = "/usr/libexec/galaxy/init"
_SCRIPT = Path(__file__).parent / "tools" / "provision.py"
# Bytes: with fewer, Samba's databases fail in words of their own.
_NO_SPACE = 1_000_000
_NOISE = re.compile(r"^(ERROR(\([^)]*\))?: )+|^uncaught exception - ", re.IGNORECASE)


def random_password(length: int = 24) -> str:
    """A password that every domain's complexity rule takes: letters, digits and signs that no shell minds."""
    alphabet = string.ascii_letters + string.digits + "._-+"
    while True:
        word = "".join(secrets.choice(alphabet) for _ in range(length))
        classes = (str.islower, str.isupper, str.isdigit)
        if all(any(test(char) for char in word) for test in classes) and any(c in "._-+" for c in word):
            return word


def provision(server: Server, password: str, timeout: float) -> None:
    """Provision the server's state. InputError when the domain refuses the password, ServerError otherwise.

    Runs in a network namespace with nothing in it: making a domain asks nobody.
    """
    script = with_samba_tool(_SCRIPT.read_text(encoding="utf-8"))
    argv = (INIT, *script, json.dumps(_words(server)))
    box = sandbox(server, rootfs_of(server), argv, Isolated())
    try:
        done = run_once(server, write_bundle(server, box), password, timeout)
    except CommandTimeoutError:
        raise ServerError(
            f"the domain {server.config.realm} was not made within {timeout:g} s",
            "Look what keeps the host busy, or raise provision_timeout in galaxy.toml.",
        ) from None
    write_atomic(server.log / "provision.log", done.output.replace(password, "(password)"))
    if done.returncode != 0:
        raise _refusal(server, done)


def _words(server: Server) -> list[str]:
    config = server.config
    return [
        "domain",
        "provision",
        f"--realm={config.realm}",
        f"--domain={config.domain}",
        f"--host-name={config.hostname}",
        f"--host-ip={config.address}",
        "--server-role=dc",
        "--dns-backend=SAMBA_INTERNAL",
        "--use-rfc2307",
        f"--backend-store={config.backend_store}",
    ]


def why_failed(done: Completed) -> str:
    """The reason that samba-tool gives, without its dressing."""
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    last = (errors or lines or [f"samba-tool ended with {done.returncode}"])[-1]
    return _NOISE.sub("", runtime_words(last))


def _refusal(server: Server, done: Completed) -> InputError | HostError | ServerError:
    if says_full(done.output) or shutil.disk_usage(server.folder).free < _NO_SPACE:
        return HostError(f"no space left for {server.name} under {server.store.root}", MORE_SPACE)
    reason = why_failed(done)
    if "password" in reason.lower():
        return InputError(
            f"the domain refuses the administrator password: {reason}",
            "Give a longer or more varied one with --admin-password-file, or leave it out for a random one.",
        )
    return ServerError(
        f"{server.name} could not be provisioned: {reason}",
        "Look whether this host can run servers: galaxy doctor",
    )
