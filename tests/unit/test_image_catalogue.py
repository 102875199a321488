"""References, damaged images, manifests that were tampered with, and images between stores."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.process import run
from galaxy.host.store import Store, default_store
from galaxy.image.catalogue import Catalogue, Image, load_image
from galaxy.image.fixed import SEAL
from galaxy.image.manifest import SEALER_REVISION, Manifest, Provenance, check_seal, read_manifest, seal_of
from galaxy.image.mount import verify_digest
from galaxy.image.pack import FAST, SMALL, pack
from galaxy.image.remove import remove_image
from galaxy.image.seal import file_rows
from galaxy.image.transfer import _write, export_image, import_image

Maker = Callable[..., Image]


@pytest.fixture
def store() -> Store:
    return default_store().ensure()


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Maker:
    """Seal a tiny tree, as the real ones are, and enter it."""

    def maker(
        version: str, *, packaged: bool = False, made: str = "2026-01-01T00:00:00+00:00", text: str = "x"
    ) -> Image:
        stage = tmp_path / f"stage-{version}-{packaged}-{text}"
        (stage / "usr/share/galaxy").mkdir(parents=True)
        (stage / "file").write_text(version + text)
        rows = tuple(file_rows(stage, {"file": "for the test"}))
        origin = Provenance(version=version, packaged=packaged, origin="apt", suite="s", input_id=f"i-{text}")
        (stage / SEAL).write_text(seal_of(origin, rows).model_dump_json())
        squashfs = tmp_path / "image.squashfs"
        pack(stage, squashfs, FAST, 1)
        digest = hashlib.sha256(squashfs.read_bytes()).hexdigest()
        folder = store.images / digest
        folder.mkdir()
        manifest = Manifest(
            sealer=SEALER_REVISION,
            provenance=origin,
            made=made,
            galaxy="0",
            compression="zstd",
            image_sha256=digest,
            image_size=squashfs.stat().st_size,
            left_out={},
            files=rows,
        )
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        squashfs.rename(folder / "image.squashfs")
        return load_image(folder)

    return maker


def test_a_version_means_the_newest_image_from_source(store: Store, make: Maker) -> None:
    packaged = make("4.22.1", packaged=True, made="2026-03-01T00:00:00+00:00")
    catalogue = Catalogue(store=store)
    assert catalogue.resolve("4.22.1").id == packaged.id
    make("4.22.1", text="old")
    newest = make("4.22.1", made="2026-02-01T00:00:00+00:00", text="new")
    assert catalogue.resolve("4.22.1").id == newest.id
    assert catalogue.resolve("4.22.1+packages").id == packaged.id
    assert catalogue.resolve(newest.id[:12]).id == newest.id
    assert catalogue.find_input("i-new") == newest


def test_versions_are_listed_in_their_own_order(store: Store, make: Maker) -> None:
    for version in ("4.10.0", "4.9.5", "4.22.0rc1", "4.22.0"):
        make(version)
    assert [i.version for i in Catalogue(store=store).images()] == ["4.9.5", "4.10.0", "4.22.0rc1", "4.22.0"]


def test_an_unknown_reference_says_what_there_is(store: Store, make: Maker) -> None:
    with pytest.raises(InputError, match="no images yet"):
        Catalogue(store=store).resolve("4.9")
    image = make("4.22.1")
    with pytest.raises(InputError) as error:
        Catalogue(store=store).resolve("4.9")
    assert f"4.22.1 ({image.id[:12]})" in error.value.hint


def test_a_damaged_manifest_blocks_nobody_else_and_can_be_removed(store: Store, make: Maker) -> None:
    good, bad = make("4.22.1"), make("4.17.1")
    body = json.loads((bad.path / "manifest.json").read_text())
    (bad.path / "manifest.json").write_text(json.dumps({**body, "surprise": 1}))
    catalogue = Catalogue(store=store)
    assert [image.id for image in catalogue.images()] == [good.id]
    with pytest.raises(InputError, match="surprise"):
        catalogue.resolve(bad.id[:12])
    remove_image(store, bad.id)
    assert not catalogue.damaged()
    assert not list(store.journal.iterdir())


@pytest.mark.parametrize("body", ["", "{", "[]", '{"format": 2}'])
def test_a_corrupt_manifest_is_named(tmp_path: Path, body: str) -> None:
    (tmp_path / "manifest.json").write_text(body)
    with pytest.raises(InputError, match=r"manifest\.json is corrupt"):
        read_manifest(tmp_path / "manifest.json")


def test_a_manifest_under_another_images_name_is_refused(store: Store, make: Maker) -> None:
    image = make("4.22.1")
    image.path.rename(store.images / ("0" * 64))
    with pytest.raises(PolicyError, match="belongs to image"):
        load_image(store.images / ("0" * 64))


def test_a_changed_manifest_breaks_the_seal(make: Maker) -> None:
    manifest = make("4.22.1").manifest
    seal = seal_of(manifest.provenance, manifest.files).model_dump_json().encode()
    check_seal(manifest, seal)
    forged = manifest.provenance.model_copy(update={"input_id": "other"})
    for wrong in (
        manifest.model_copy(update={"provenance": forged}),
        manifest.model_copy(update={"files": ()}),
    ):
        with pytest.raises(PolicyError, match="changed after the image was sealed"):
            check_seal(wrong, seal)
    with pytest.raises(PolicyError):
        check_seal(manifest, b"")


def test_changed_bytes_are_refused(make: Maker) -> None:
    image = make("4.22.1")
    verify_digest(image)
    with image.squashfs.open("r+b") as file:
        file.seek(100)
        file.write(b"!")
    with pytest.raises(PolicyError, match="digest differs"):
        verify_digest(image)


def test_an_image_that_a_server_uses_stays(store: Store, make: Maker) -> None:
    image = make("4.22.1")
    (store.servers / "dc1").mkdir()
    (store.servers / "dc1/server.toml").write_text(f'image_id = "{image.id}"\n')
    with pytest.raises(InputError, match="used by dc1"):
        remove_image(store, image.id)
    assert image.path.is_dir()


def test_a_removal_finishes_one_that_was_killed(store: Store, make: Maker) -> None:
    left = store.images / f".removing-{'5' * 64}"
    left.mkdir()
    (left / "image.squashfs").touch()
    remove_image(store, make("4.22.1").id)
    assert not list(store.images.iterdir())


def exported(store: Store, make: Maker, tmp_path: Path) -> tuple[Image, Path]:
    """An export of an image that is then taken out of the store."""
    image = make("4.22.1")
    path = export_image(store, image, tmp_path)
    remove_image(store, image.id)
    return image, path


def test_an_image_travels(store: Store, make: Maker, tmp_path: Path) -> None:
    image, path = exported(store, make, tmp_path)
    assert path.name == f"galaxy-4.22.1-{image.id[:12]}.tar"
    again = import_image(store, path)
    assert again.manifest == image.manifest
    verify_digest(again)
    assert import_image(store, path) == again
    with pytest.raises(InputError, match="exists already"):
        export_image(store, again, path)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.9])
def test_a_truncated_file_is_refused(store: Store, make: Maker, tmp_path: Path, share: float) -> None:
    _, path = exported(store, make, tmp_path)
    # The end of a tar is padding of 10 kB; what matters ends before it.
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises((InputError, PolicyError)):
        import_image(store, path)
    assert not list(store.images.iterdir())
    assert not list(store.journal.iterdir())


def test_a_tampered_file_is_refused(store: Store, make: Maker, tmp_path: Path) -> None:
    _, path = exported(store, make, tmp_path)
    with tarfile.open(path) as archive:
        start = archive.getmember("image.squashfs").offset_data
    body = bytearray(path.read_bytes())
    body[start + 50] ^= 1
    path.write_bytes(body)
    with pytest.raises(PolicyError, match="changed after the export"):
        import_image(store, path)
    assert not list(store.images.iterdir())


def test_a_forged_manifest_with_the_right_digest_is_refused(
    store: Store, make: Maker, tmp_path: Path
) -> None:
    image = make("4.22.1")
    forged = image.manifest.provenance.model_copy(update={"version": "4.24.7"})
    manifest = image.manifest.model_copy(update={"provenance": forged})
    (image.path / "manifest.json").write_text(manifest.model_dump_json())
    with pytest.raises(PolicyError, match="changed after the image was sealed"):
        export_image(store, load_image(image.path), tmp_path)
    path = tmp_path / "by-hand.tar"
    _write(load_image(image.path), path)
    remove_image(store, image.id)
    with pytest.raises(PolicyError, match="changed after the image was sealed"):
        import_image(store, path)


def test_a_forged_version_is_listed_as_damage(
    store: Store, make: Maker, galaxy_command: Callable[..., tuple[int, str, str]]
) -> None:
    good, forged = make("4.22.1"), make("4.17.1")
    other = forged.manifest.provenance.model_copy(update={"version": "4.24.7"})
    manifest = forged.manifest.model_copy(update={"provenance": other})
    (forged.path / "manifest.json").write_text(manifest.model_dump_json())
    rows = json.loads(galaxy_command("image", "ls", "--json")[1])
    assert [(row["id"], row["verdict"]) for row in rows] == [
        (good.id, "not verified"),
        (
            forged.id,
            f"damaged: the manifest of image {forged.id[:12]} was changed after the image was sealed",
        ),
    ]
    code, out, err = galaxy_command("image", "show", "4.24.7")
    assert (code, out) == (6, "")
    assert "was changed after the image was sealed" in err
    assert galaxy_command("image", "show", "4.22.1")[0] == 0


def test_other_files_are_no_exports(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tmp_path / "text", "../../etc/passwd")
    for name in ("text", "other.tar", "nothing"):
        with pytest.raises(InputError):
            import_image(store, tmp_path / name)


def test_an_export_with_a_hole_in_it_is_refused(store: Store, make: Maker, tmp_path: Path) -> None:
    """A small file could fill the disk that servers write to."""
    _, path = exported(store, make, tmp_path)
    with tarfile.open(path) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    with tarfile.open(tmp_path / "sparse.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, body in members:
            if member.name == "image.squashfs":
                member.type = tarfile.GNUTYPE_SPARSE
            archive.addfile(member, io.BytesIO(body))
    with pytest.raises(InputError):
        import_image(store, tmp_path / "sparse.tar")
    assert not list(store.images.iterdir())


def test_an_import_replaces_a_manifest_that_was_changed_and_can_be_read(
    store: Store, make: Maker, tmp_path: Path
) -> None:
    image, path = exported(store, make, tmp_path)
    place = import_image(store, path).path / "manifest.json"
    place.chmod(0o644)
    other = image.manifest.provenance.model_copy(update={"version": "4.24.7"})
    place.write_text(image.manifest.model_copy(update={"provenance": other}).model_dump_json())
    assert import_image(store, path).manifest == image.manifest


@pytest.mark.parametrize("compression", [FAST, SMALL])
def test_the_same_tree_gives_the_same_bytes(tmp_path: Path, compression: object) -> None:
    digests = set()
    for place in ("one", "two"):
        stage = tmp_path / place / "stage"
        stage.mkdir(parents=True)
        for name in ("a", "b") if place == "one" else ("b", "a"):
            (stage / name).write_text(name * 5000)
        run(["touch", "-d", f"20{len(digests)}1-01-01", stage / "a"])
        pack(stage, tmp_path / place / "image", compression, 2)  # type: ignore[arg-type]
        digests.add(hashlib.sha256((tmp_path / place / "image").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_command_line_lists_nothing_and_refuses_what_is_not_there(
    galaxy_command: Callable[..., tuple[int, str, str]],
) -> None:
    assert galaxy_command("image", "ls", "--json")[:2] == (0, "[]\n")
    code, out, err = galaxy_command("image", "show", "4.99.0")
    assert (code, out) == (2, "")
    assert "there is no image 4.99.0" in err


def test_a_truncated_file_is_refused_though_its_image_is_there(
    store: Store, make: Maker, tmp_path: Path
) -> None:
    _, path = exported(store, make, tmp_path)
    import_image(store, path)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises((InputError, PolicyError)):
        import_image(store, path)


@pytest.mark.parametrize("name", ["manifest.json", "image.squashfs"])
def test_an_import_replaces_a_damaged_image(store: Store, make: Maker, tmp_path: Path, name: str) -> None:
    image, path = exported(store, make, tmp_path)
    damaged = import_image(store, path).path / name
    damaged.chmod(0o644)
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    again = import_image(store, path)
    assert again.manifest == image.manifest
    verify_digest(again)
