"""galaxy image ls|show|rm|export|import."""

from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer

from galaxy.cli.render import found_store, need_root, print_json, ready_store, size, table
from galaxy.gate.certificate import require_certificate
from galaxy.gate.policy import Policy, load_policy
from galaxy.gate.verdict import last_verdict
from galaxy.gate.withdrawal import certificate_file
from galaxy.host.errors import GalaxyError, PolicyError
from galaxy.host.store import Store
from galaxy.image.catalogue import SHORT, Catalogue, Image
from galaxy.image.mount import mounted_root, verify_digest
from galaxy.image.remove import remove_image
from galaxy.image.sealed import require_sealed
from galaxy.image.sizes import part_sizes
from galaxy.image.transfer import export_image, import_image

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reference = Annotated[
    str, typer.Argument(metavar="REF", help="VERSION, VERSION+packages, or the beginning of an id.")
]
READY = "production-ready"
# How much of a verdict fits into a line of the list.
_VERDICT = 72


def ls(as_json: AsJson = False) -> None:
    """List the images of this host: reference, id, size, origin, verdict.

    The verdict is production-ready, or why not; `galaxy verify` gives it, `image show` and --json tell all of it.
    """
    store, policy = found_store(), load_policy()
    catalogue = Catalogue(store=store)
    rows, damaged = [], [_damaged_row(item.path.name, item.error) for item in catalogue.damaged()]
    for image in catalogue.images():
        try:
            require_sealed(image.manifest, image.squashfs)
        except PolicyError as error:
            damaged.append(_damaged_row(image.id, error))
        else:
            rows.append(_row(store, policy, image))
    if as_json:
        print_json([*rows, *damaged])
        return
    shown = [
        [row["ref"], row["id"][:SHORT], size(row["size"]), row["origin"], row["made"][:16], _in_short(row)]
        for row in rows
    ]
    shown += [["-", row["id"][:SHORT], "-", "-", "-", _in_short(row)] for row in damaged]
    table(["IMAGE", "ID", "SIZE", "ORIGIN", "MADE (UTC)", "VERDICT"], shown)


def show(
    ref: Reference,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Show where the bytes are, by part (mounts the image).")
    ] = False,
    files: Annotated[bool, typer.Option("--files", help="Show each file and why it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an image is made of and where that came from; with --json, its whole manifest.

    Refused (exit code 6) when the image, or what its manifest says of it, was changed after it was sealed.
    """
    store = found_store()
    image = Catalogue(store=store).resolve(ref)
    require_sealed(image.manifest, image.squashfs)
    verify_digest(image)
    if sizes:
        _show_sizes(store, image, as_json=as_json)
    elif as_json:
        print_json({**_row(store, load_policy(), image), "manifest": image.manifest.model_dump(mode="json")})
    elif files:
        rows = [
            [row.path, size(row.size) if row.kind == "file" else row.kind, row.reason]
            for row in image.manifest.files
        ]
        table(["PATH", "SIZE", "WHY IT IS THERE"], rows)
    else:
        _show(_row(store, load_policy(), image), image)


def rm(ref: Reference) -> None:
    """Remove an image from this host. Refused (exit code 2) while a server, running or not, or a snapshot needs it."""
    store = ready_store("Removing an image")
    catalogue = Catalogue(store=store)
    broken = [
        item.path.name for item in catalogue.damaged() if len(ref) >= 4 and item.path.name.startswith(ref)
    ]
    image_id = broken[0] if len(broken) == 1 else catalogue.resolve(ref).id
    remove_image(store, image_id)
    print(f"removed image {image_id[:SHORT]}")


def export(
    ref: Reference,
    target: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write, or a folder for it.")
    ] = Path(),
) -> None:
    """Write an image to one file, for galaxy image import on another host."""
    need_root("Exporting an image")
    store = found_store()
    print(export_image(store, Catalogue(store=store).resolve(ref), target))


def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that galaxy image export wrote.")],
) -> None:
    """Take an image from a file, after checking its digests and its manifest."""
    image = import_image(ready_store("Importing an image"), source)
    print(f"{image.ref}  {image.id[:SHORT]}  {size(image.manifest.image_size)}")


def _row(store: Store, policy: Policy, image: Image) -> dict[str, Any]:
    """One image as `ls --json` shows it."""
    provenance = image.manifest.provenance
    return {
        "ref": image.ref,
        "id": image.id,
        "version": image.version,
        "packaged": image.packaged,
        "size": image.manifest.image_size,
        "origin": f"{provenance.suite} packages" if image.packaged else f"{provenance.origin} source",
        "made": image.manifest.made,
        "verdict": verdict(store, policy, image),
        "servers": list(Catalogue(store=store).users(image.id)),
    }


def _damaged_row(image_id: str, error: GalaxyError) -> dict[str, Any]:
    return {"id": image_id, "verdict": f"damaged: {error.message}"}


def _in_short(row: dict[str, Any]) -> str:
    return shorten(row["verdict"], _VERDICT, placeholder=" ...")


def verdict(store: Store, policy: Policy, image: Image) -> str:
    """`production-ready`, `not verified`, or why the image was refused or its certificate does not count."""
    if not certificate_file(store, image.id).exists():
        last = last_verdict(store, image.id)
        if last is None or not last.reasons:
            return "not verified"
        return f"{'refused' if last.failed or last.unfit else 'not certified'}: {last.reasons[0]}"
    try:
        require_certificate(store, image, policy)
    except GalaxyError as error:
        return f"refused: {error.message}"
    return READY


def _show(row: dict[str, Any], image: Image) -> None:
    manifest, provenance = image.manifest, image.manifest.provenance
    kinds = [entry.kind for entry in manifest.files]
    lines = {
        "image": image.ref,
        "id": image.id,
        "size": f"{size(manifest.image_size)} ({size(manifest.raw_size)} unpacked, {manifest.compression})",
        "files": f"{kinds.count('file')} files, {kinds.count('link')} links",
        "origin": f"{row['origin']}, built in {provenance.suite}, {len(provenance.packages)} packages",
        "source": provenance.source or provenance.package_version or "-",
        "patches": str(len(provenance.patches)),
        "inputs": provenance.input_id,
        "made": f"{manifest.made} by galaxy {manifest.galaxy}",
        "licence": manifest.licence,
        "verdict": row["verdict"],
        "servers": ", ".join(row["servers"]) or "none",
    }
    for name, value in lines.items():
        print(f"{name:<8}  {value}")
    for path, why in manifest.left_out.items():
        print(f"left out  {path}: {why}")


def _show_sizes(store: Store, image: Image, *, as_json: bool) -> None:
    need_root("Mounting an image")
    parts = part_sizes(image, mounted_root(store, image))
    if as_json:
        print_json([{"part": p.part, "files": p.files, "raw": p.raw, "packed": p.packed} for p in parts])
        return
    rows = [[part.part, part.files, size(part.raw), size(part.packed)] for part in parts]
    rows.append(
        ["all", sum(p.files for p in parts), size(image.manifest.raw_size), size(image.manifest.image_size)]
    )
    table(["PART", "FILES", "UNPACKED", "IN THE IMAGE"], rows)
