"""Commands that work on a staged image: in the root it was built in, in itself, or with the host's tools.

Mounts are made in a private mount namespace that ends with the command, so that nothing needs to be undone.
"""

from dataclasses import dataclass
from pathlib import Path

from galaxy.host.process import Completed, find_tool, run

# The shell's part: bind the stage into the root at /mnt, then run the rest in the root.
_BIND_AND_ENTER = 'mount --bind "$1" "$2/mnt"; shift; root=$1; shift; exec chroot "$root" "$@"'
STAGE_INSIDE = "/mnt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolroom:
    """Where a stage's compiler and strip come from: the build root with gcc; the host if `root` is None."""

    root: Path | None
    stage: Path

    def gcc(self, source: str, target: str, *options: str) -> None:
        """Compile a C source into `target` (relative to the stage), small, without debugging information."""
        output = f"{self._stage}/{target}"
        self._run("gcc", "-Os", "-s", "-Wall", "-x", "c", "-", "-o", output, *options, stdin=source)

    def strip(self, targets: list[str]) -> None:
        """Remove everything from ELF files (relative to the stage) that running does not need."""
        if targets:
            paths = [f"{self._stage}/{target}" for target in targets]
            self._run("strip", "--strip-unneeded", "--remove-section=.comment", *paths)

    @property
    def _stage(self) -> str:
        return STAGE_INSIDE if self.root else str(self.stage)

    def _run(self, *argv: str, stdin: str | None = None) -> Completed:
        if self.root is None:
            return run([find_tool(argv[0], "gcc libc6-dev binutils"), *argv[1:]], stdin=stdin, timeout=120)
        enter = ["unshare", "--mount", "sh", "-ec", _BIND_AND_ENTER, "sh", str(self.stage), str(self.root)]
        return run([*enter, *argv], stdin=stdin, timeout=120)


def in_stage(stage: Path, *argv: str, stdin: str | None = None, timeout: float = 120) -> Completed:
    """Run a program of the staged image in the staged image."""
    return run(["chroot", stage, *argv], stdin=stdin, timeout=timeout, env={"PYTHONHASHSEED": "0"})
