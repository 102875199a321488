"""Every command: its words, the function that does it, and one line of help.

A function is loaded when its command is asked for, so that `galaxy ls` does not load what `verify` needs.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: `words` are what is typed (one, or a group and a name).

    `verbatim`: what follows the first argument is another program's, options and all.
    """

    words: tuple[str, ...]
    module: str
    function: str
    help: str
    verbatim: bool = False


def _command(words: str, where: str, text: str, *, verbatim: bool = False) -> Command:
    module, function = where.split(":")
    return Command(
        words=tuple(words.split()),
        module=f"galaxy.cli.{module}",
        function=function,
        help=text,
        verbatim=verbatim,
    )


COMMANDS: tuple[Command, ...] = (
    _command("doctor", "doctor:doctor", "Can this host build, run and verify? What is missing?"),
    _command("releases", "releases:releases", "The Samba versions that the configured sources offer."),
    _command("build", "build:build", "Make an image of a Samba version."),
    _command("image ls", "image:ls", "List images: size, origin, verdict."),
    _command("image show", "image:show", "Show an image's manifest."),
    _command("image rm", "image:rm", "Remove an image."),
    _command("image export", "image:export", "Write an image to a file for another host."),
    _command("image import", "image:import_", "Take an image from a file, checking its digests."),
    _command("create", "server:create", "Create a domain controller with a new domain."),
    _command("join", "join:join", "Create one more domain controller of a domain."),
    _command("start", "server:start", "Start a server and wait until it answers."),
    _command("stop", "server:stop", "Stop a server."),
    _command("restart", "server:restart", "Stop a server and start it again."),
    _command("status", "server:status", "Show a server: state, image, address, readiness."),
    _command("logs", "server:logs", "Show a server's log."),
    _command("exec", "server:exec_", "Run a program inside a server.", verbatim=True),
    _command("shell", "server:shell", "Open a shell inside a server."),
    _command("rm", "server:rm", "Remove a server with its state."),
    _command("ls", "server:ls", "List servers: image, state, address, since."),
    _command("snapshot", "snapshot:snapshot", "Keep a consistent copy of a server to go back to."),
    _command("snapshots", "snapshot:snapshots", "List a server's snapshots."),
    _command("restore", "snapshot:restore", "Give a server the state of a snapshot."),
    _command("prune", "snapshot:prune", "Remove old snapshots of a server."),
    _command("upgrade", "upgrade:upgrade", "Move a server to another Samba version."),
    _command("rollback", "rollback:rollback", "Move a server back to the version of before."),
    _command("verify", "verify:verify", "Check images, a server or any domain controller."),
    _command("report", "report:report", "Show a finished run, or join the shards of one."),
    _command("certificate show", "gate:show", "Show an image's certificate."),
    _command("certificate check", "gate:check", "Check a certificate file's signature."),
    _command("certificate import", "gate:import_", "Take a certificate from elsewhere."),
    _command("certificate key", "gate:key", "Print the public key of this host's certificates."),
    _command("certificate trust", "gate:trust_key", "Take certificates of another public key."),
    _command("recover", "recover:recover", "Finish or undo whatever an interrupted command left."),
)

GROUPS: dict[str, str] = {
    "image": "Images: list, show, remove, export, import.",
    "certificate": "Certificates: show, check, and whose signature counts.",
}
