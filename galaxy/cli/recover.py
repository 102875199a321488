"""galaxy recover."""

from galaxy.cli.render import need_root
from galaxy.host.journal import recover as undo_interrupted
from galaxy.host.store import default_store


def recover() -> None:
    """Finish or undo whatever an interrupted command left: mounts, networks, containers, half-made folders.

    Commands that change things do the same before they begin; this is for wanting nothing else.
    """
    need_root("Undoing what a command left")
    lines = undo_interrupted(default_store())
    for line in lines or ["nothing was left behind"]:
        print(line)
