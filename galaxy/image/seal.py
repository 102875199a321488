"""Sealing: an installed tree becomes a checked image in the catalogue."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import galaxy
from galaxy.host.files import require_space, sha256_file, write_atomic
from galaxy.host.journal import Entry
from galaxy.host.progress import step
from galaxy.host.store import Store
from galaxy.image.catalogue import MANIFEST, SQUASHFS, Image, load_image
from galaxy.image.checks import check_image
from galaxy.image.closure import Closure, closure, search_dirs
from galaxy.image.enter import enter_image
from galaxy.image.fixed import SEAL
from galaxy.image.manifest import SEALER_REVISION, FileRow, Manifest, Provenance, seal_of
from galaxy.image.pack import Compression, pack
from galaxy.image.parts import part_of
from galaxy.image.stage import StageRequest, make_stage
from galaxy.image.usedpython import used_python

# Room for a stage and its squashfs, in bytes.
_NEED = 600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRequest:
    """An installed tree and what is known of it. `tools`: a root with gcc and strip; None: the host's gcc."""

    root: Path
    libdirs: tuple[str, ...]
    extra_files: tuple[str, ...]
    tools: Path | None
    provenance: Provenance
    compression: Compression
    jobs: int


def seal(store: Store, entry: Entry, request: SealRequest) -> Image:
    """Closure, stage, squashfs, checks, catalogue. BuildError if anything is missing."""
    store.images.mkdir(parents=True, exist_ok=True)
    require_space(store.images, _NEED, "sealing an image")
    work = store.images / f".making-{request.provenance.input_id[:16]}"
    with entry.temporarily("tree", work):
        return _seal(store, request, work)


def _seal(store: Store, request: SealRequest, work: Path) -> Image:
    stage, point, result = work / "stage", work / "point", work / "result"
    for folder in (stage, point, result):
        folder.mkdir(parents=True)
    with step("finding what Samba needs"):
        python = used_python(request.root)
        libdirs = search_dirs(request.root, request.libdirs)
        needed = closure(request.root, libdirs, python, request.extra_files)
    with step(f"staging {len(needed.files)} files"):
        reasons = make_stage(
            StageRequest(root=request.root, stage=stage, closure=needed, python=python, tools=request.tools)
        )
        rows = _write_seal(stage, reasons, request.provenance)
    with step(f"sealing with {request.compression.name}"):
        pack(stage, result / SQUASHFS, request.compression, request.jobs)
    with step(
        f"checking the sealed image: libraries, imports, {python.commands} samba-tool commands, provision"
    ):
        check_image(result / SQUASHFS, point)
    return _enter(store, request, result, needed, rows)


def _write_seal(stage: Path, reasons: dict[str, str], provenance: Provenance) -> tuple[FileRow, ...]:
    rows = tuple(file_rows(stage, reasons))
    (stage / SEAL).parent.mkdir(parents=True, exist_ok=True)
    (stage / SEAL).write_text(seal_of(provenance, rows).model_dump_json(), encoding="utf-8")
    (stage / SEAL).chmod(0o644)
    return rows


def _enter(
    store: Store, request: SealRequest, result: Path, needed: Closure, rows: tuple[FileRow, ...]
) -> Image:
    digest = sha256_file(result / SQUASHFS)
    manifest = Manifest(
        sealer=SEALER_REVISION,
        provenance=request.provenance,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        galaxy=galaxy.__version__,
        compression=request.compression.name,
        image_sha256=digest,
        image_size=(result / SQUASHFS).stat().st_size,
        left_out=needed.left_out,
        files=rows,
    )
    text = manifest.model_dump_json(indent=1)
    write_atomic(result / MANIFEST, text)
    image = enter_image(store, result, digest, result.with_name("damaged"))
    if image.manifest == manifest:
        return image
    # The same bytes were there, made from other inputs: the last ones count.
    write_atomic(image.path / MANIFEST, text)
    return load_image(image.path)


def file_rows(stage: Path, reasons: dict[str, str]) -> Iterable[FileRow]:
    """A row for each path of a staged tree, in the order of paths."""
    for path in sorted(stage.rglob("*")):
        name = str(path.relative_to(stage))
        mode = path.lstat().st_mode
        row = FileRow(
            path=name,
            kind="folder",
            mode=f"{stat.S_IMODE(mode):04o}",
            reason=reasons.get(name, "holds files, or is mounted over"),
            part=part_of(name),
        )
        if stat.S_ISLNK(mode):
            row = row.model_copy(update={"kind": "link", "target": str(path.readlink())})
        elif stat.S_ISREG(mode):
            update = {"kind": "file", "size": path.stat().st_size, "sha256": sha256_file(path)}
            row = row.model_copy(update=update)
        yield row
