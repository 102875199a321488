"""How servers look to people and programs."""

from typing import Any

from galaxy.cli.render import print_json
from galaxy.host.errors import GalaxyError
from galaxy.host.recovery import interrupted
from galaxy.image.catalogue import load_image
from galaxy.server import running
from galaxy.server.config import Server
from galaxy.server.lifecycle import status, unsettled
from galaxy.server.logs import follow, last_lines, log_files
from galaxy.server.ready import answers


def describe(server: Server) -> dict[str, Any]:
    """One row of `galaxy ls`."""
    now = status(server)
    return {
        "name": server.name,
        "image": _image_ref(server),
        "state": now.state,
        "address": server.config.address,
        "since": now.since,
        "realm": server.config.realm,
        "network": server.config.network.kind,
        "image_id": server.config.image_id,
        "pending": unsettled(server) or _interrupted(server),
    }


def _interrupted(server: Server) -> str:
    """Of a server on which a command was cut off, what comes of that."""
    verb = interrupted(server.store, server.name)
    return (
        f"was left by an interrupted {verb}; the next command that changes anything settles it"
        if verb
        else ""
    )


def print_status(server: Server, *, as_json: bool) -> None:
    """`galaxy status`: what the row says, the process, and each service asked once when it runs."""
    now = status(server)
    services = answers(server) if now.state == "running" else {}
    body = {
        **describe(server),
        "domain": server.config.domain,
        "host": server.config.fqdn,
        "pid": now.pid,
        "processes": now.processes,
        "why": now.why,
        "services": {name: reason or "answers" for name, reason in services.items()},
        "created": server.config.created.isoformat(),
        "folder": server.folder,
    }
    if as_json:
        print_json(body)
        return
    state = f"{now.state} since {now.since}" if now.since else now.state
    print(f"{server.name}: {state}" + (f" ({now.why})" if now.why else ""))
    if body["pending"]:
        print(f"  {server.name} {body['pending']}\n  To finish or undo what was interrupted: galaxy recover")
    shown = (
        "host",
        "address",
        "network",
        "realm",
        "domain",
        "image",
        "pid",
        "processes",
        "created",
        "folder",
    )
    for key in shown:
        if body[key]:
            print(f"  {key:<10} {body[key]}")
    for name, words in body["services"].items():
        print(f"  {name:<10} {words}")


def print_logs(server: Server, lines: int, *, following: bool) -> None:
    """The last lines of each log under its name, as tail(1) shows several files; then new ones as they come."""
    current = ""
    for path in log_files(server):
        said = last_lines(path, lines)
        if said:
            current = str(path.relative_to(server.log))
            print(f"==> {current} <==", *said, sep="\n")
    if not following:
        return
    for name, line in follow(lambda: log_files(server), lambda: running.alive(server) is not None):
        if name != current:
            current = name
            print(f"==> {current} <==")
        print(line, flush=True)


def _image_ref(server: Server) -> str:
    try:
        return load_image(server.store.images / server.config.image_id).ref
    except (GalaxyError, OSError):
        return f"missing ({server.config.image_id[:12]})"
