"""galaxy recover."""

from galaxy.cli.render import found_store, need_root
from galaxy.host.recovery import recover as undo_interrupted


def recover() -> None:
    """Finish or undo whatever an interrupted command left: mounts, networks, containers, half-made folders.

    Commands that change things do the same before they begin; this is for wanting nothing else.
    """
    need_root("Undoing what a command left")
    lines = undo_interrupted(found_store())
    for line in lines or ["nothing was left behind"]:
        print(line)
