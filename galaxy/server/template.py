"""Provisioned states to clone from: what took seconds to make is copied in a fraction of one.

A clone has the SIDs, keys and passwords of its template: for tests only.
"""

import json
from collections.abc import Callable
from pathlib import Path

from galaxy.host.files import sha256_text, sync_file_system
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.server.config import Server
from galaxy.server.copying import copy_state
from galaxy.server.inside import smb_conf

# Raised when what a template holds changes in a way that its inputs do not show.
_REVISION = 1
_WAIT = 180.0

Fill = Callable[[Server, str | None], None]


def template_id(server: Server, password: str | None) -> str:
    """The digest of everything that a provisioned state depends on."""
    config = server.config
    inputs = [_REVISION, config.image_id, config.hostname, config.address, config.backend_store]
    inputs += [smb_conf(config), None if password is None else sha256_text(password)]
    return sha256_text(json.dumps(inputs))


def from_template(server: Server, password: str | None, fill: Fill) -> None:
    """Fill an empty server from its template; the first one is filled by `fill` and becomes the template.

    Without a password the template's own, a random one, is taken over.
    """
    folder = server.store.templates / template_id(server, password)[:24]
    with locked(server.store, f"template-{folder.name}", wait=_WAIT):
        if not folder.is_dir():
            fill(server, password)
            _keep(server, folder)
            return
    copy_state(folder, server.folder)


def _keep(server: Server, folder: Path) -> None:
    making = folder.with_name(f".{folder.name}.making")
    with journal(server.store, "template", folder.name) as entry:
        entry.on_failure("tree", making)
        making.mkdir(mode=0o700)
        copy_state(server.folder, making)
        sync_file_system(making)
        making.rename(folder)
