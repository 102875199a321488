"""The installed tree: a whole root file system in which Samba is installed, whichever way it came there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.build.compile import compiled, forget_compiled
from galaxy.build.packages import unpacked
from galaxy.build.plan import BuildPlan
from galaxy.host.journal import Entry
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release import Patch, SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledTree:
    """A root file system in which Samba runs by chroot.

    `libdirs` are folders (absolute, inside the root) that the loader must search besides its own; the tree's own
    loader cache knows them already. `packages` are the root's, as `name=version`. `has_compiler`: gcc works inside.
    """

    root: Path
    packages: tuple[str, ...]
    libdirs: tuple[str, ...]
    files: tuple[SourceFile, ...]
    patches: tuple[Patch, ...]
    epoch: int
    has_compiler: bool
    log: Path | None = None


@contextmanager
def installed_tree(
    store: Store, settings: Settings, plan: BuildPlan, entry: Entry
) -> Iterator[InstalledTree]:
    """Compile or unpack what the plan says; the root is there for the block.

    A tree that was compiled stays in the store until `forget_tree`, so that a failed seal costs no compile.
    """
    if plan.packaged:
        with unpacked(store, settings, plan.packages, plan.release, entry) as root:
            yield InstalledTree(
                root=root,
                packages=plan.packages,
                libdirs=(),
                files=(),
                patches=(),
                epoch=0,
                has_compiler=False,
            )
        return
    with compiled(store, settings, plan, entry) as result:
        yield InstalledTree(
            root=result.root,
            packages=plan.packages,
            libdirs=result.libdirs,
            files=result.files,
            patches=result.patches,
            epoch=result.epoch,
            has_compiler=True,
            log=result.log,
        )


def forget_tree(store: Store, plan: BuildPlan) -> None:
    """Remove what a build left for the sealing, once there is an image of it; its log stays."""
    forget_compiled(store, plan)
