"""The build plan: frozen data whose digest is the image's input id."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from galaxy.build.packages import resolve_packages
from galaxy.build.renew import renew_root, tell_age
from galaxy.build.root import BuildRoot, architecture, ensure_root
from galaxy.host.files import sha256_file, sha256_text
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release import Recipe, Release, SourceSpec, find_release, recipe_for, source_of
from galaxy.release.find import Wanted

# Raise it when the same plan would come out as other bytes because Galaxy itself builds differently.
BUILDER_REVISION = 1
# The hook that drops targets out of the source's own build script.
LEAVE_OUT = Path(__file__).with_name("leave_out.waf")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What somebody asked for. `path` is a file, folder or URL for the tarball and directory sources.

    `jobs` is how many compilers run at once (default: the settings'); it is no input of the result. `renew` makes the
    build root anew first.
    """

    version: str
    origin: str | None = None
    path: str | None = None
    packages: bool = False
    sha256: str | None = None
    signature: str | None = None
    jobs: int | None = None
    renew: bool = False

    @property
    def wanted(self) -> Wanted:
        """The part that says which release."""
        return Wanted(
            version=self.version,
            origin=self.origin,
            path=self.path,
            packaged=self.packages,
            sha256=self.sha256,
            signature=self.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that decides what an image's tree will be.

    `packages` are the root's, as `name=version`; for `kind` packages they include Samba's own and are downloaded
    from `archives`. `source` and `recipe` are there for `kind` source.
    """

    kind: Literal["source", "packages"]
    version: str
    release: Release
    suite: str
    arch: str
    packages: tuple[str, ...]
    jobs: int
    wanted: Wanted
    source: SourceSpec | None = None
    recipe: Recipe | None = None
    builder: int = BUILDER_REVISION

    @property
    def packaged(self) -> bool:
        """Whether the tree comes from binary packages."""
        return self.kind == "packages"

    def inputs(self) -> dict[str, object]:
        """The inputs as plain data: what the manifest records and the input id is the digest of."""
        recipe = asdict(self.recipe) if self.recipe else {}
        for remark in ("exercised", "note", "since", "before"):
            recipe.pop(remark, None)
        return {
            "kind": self.kind,
            "version": self.version,
            "arch": self.arch,
            "suite": self.suite,
            "packages": list(self.packages),
            "source": self.source.digest if self.source else self.release.package_version,
            "recipe": recipe,
            "builder": [self.builder, sha256_file(LEAVE_OUT) if self.recipe else ""],
        }

    @property
    def input_id(self) -> str:
        """The SHA-256 of the canonical JSON of the inputs."""
        return sha256_text(json.dumps(self.inputs(), sort_keys=True, separators=(",", ":")))


def plan_build(store: Store, settings: Settings, request: BuildRequest) -> BuildPlan:
    """Find the release and pin every input. Makes the build root when there is none yet: its packages are inputs.

    InputError for an unknown version, BuildError for one that can't be delivered.
    """
    release = find_release(store, settings, request.wanted)
    jobs = request.jobs or settings.jobs
    if request.packages:
        packages = resolve_packages(store, settings, release)
        return BuildPlan(
            kind="packages",
            version=str(release.version),
            release=release,
            suite=release.suite,
            arch=architecture(),
            packages=packages,
            jobs=jobs,
            wanted=request.wanted,
        )
    recipe = recipe_for(release.version)
    source = source_of(store, settings, request.wanted).describe(release)
    root = plan_root(store, settings, recipe)
    if request.renew:
        renew_root(store, settings, root, recipe.dependencies)
        root = plan_root(store, settings, recipe)
    tell_age(store, settings, root, f"to have them: galaxy build {request.version} --renew-root")
    return BuildPlan(
        kind="source",
        version=str(release.version),
        release=release,
        suite=recipe.suite,
        arch=architecture(),
        packages=root.packages,
        jobs=jobs,
        wanted=request.wanted,
        source=source,
        recipe=recipe,
    )


def plan_root(store: Store, settings: Settings, recipe: Recipe) -> BuildRoot:
    """The build root of a recipe."""
    return ensure_root(store, settings, recipe.suite, recipe.dependencies)
