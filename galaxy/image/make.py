"""The Build walk: a wanted version becomes a sealed image in the catalogue."""

import json
from collections.abc import Iterable

from galaxy.build import BuildPlan, BuildRequest, InstalledTree, forget_tree, installed_tree, plan_build
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.progress import say, step
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue, Image
from galaxy.image.enter import is_whole
from galaxy.image.manifest import Provenance, SourceFile
from galaxy.image.pack import FAST, SMALL
from galaxy.image.seal import SealRequest, seal
from galaxy.release import Patch
from galaxy.release import SourceFile as ReleaseFile

# How long one build waits for another of the same plan, in seconds: then that one's image is there.
_PATIENCE = 7200.0


def make_image(store: Store, settings: Settings, request: BuildRequest) -> Image:
    """Plan, and unless an image of the same inputs exists: install, seal, check and enter it.

    Raises InputError for a version that nobody offers, BuildError for one that does not build or work.
    Interrupted at any moment it leaves nothing but finished work (sources, build roots, a compiled tree).
    """
    with step(f"planning the build of {request.version}"):
        plan = plan_build(store, settings, request)
    with locked(store, f"make-{plan.input_id[:16]}", wait=_PATIENCE):
        existing = Catalogue(store=store).find_input(plan.input_id)
        if existing is not None and not is_whole(existing.path):
            say(f"image {existing.ref} ({existing.id[:12]}) is damaged; making it again")
        elif existing is not None:
            say(f"image {existing.ref} ({existing.id[:12]}) has been made from these inputs already")
            return existing
        with (
            journal(store, "build", request.version) as entry,
            installed_tree(store, settings, plan, entry) as tree,
        ):
            image = seal(store, entry, _seal_request(plan, tree, settings))
        forget_tree(store, plan)
    return image


def _seal_request(plan: BuildPlan, tree: InstalledTree, settings: Settings) -> SealRequest:
    return SealRequest(
        root=tree.root,
        libdirs=tree.libdirs,
        extra_files=plan.recipe.extra_files if plan.recipe else (),
        tools=tree.root if tree.has_compiler else None,
        provenance=_provenance(plan, tree),
        compression=FAST if plan.packaged else SMALL,
        jobs=settings.jobs,
    )


def _provenance(plan: BuildPlan, tree: InstalledTree) -> Provenance:
    recipe = plan.inputs()["recipe"]
    return Provenance(
        version=plan.version,
        packaged=plan.packaged,
        origin=plan.release.origin,
        suite=plan.suite,
        input_id=plan.input_id,
        package_version=plan.release.package_version,
        source=plan.source.digest if plan.source else "",
        source_files=_files(tree.files),
        patches=_files(tree.patches),
        recipe=json.dumps(recipe, sort_keys=True) if recipe else "",
        packages=tree.packages,
    )


def _files(items: Iterable[ReleaseFile | Patch]) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(name=item.name, sha256=item.sha256) for item in items)
