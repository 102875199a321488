"""Real images: mounted once, refused when changed, checked when made, and nothing left behind."""

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import GALAXY, watch

from galaxy.host.errors import BuildError, PolicyError
from galaxy.host.mounts import mount_points
from galaxy.host.process import Completed, background, run
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue, Image
from galaxy.image.checks import check_image
from galaxy.image.mount import mount_point, mounted_root, unmount, unmount_idle
from galaxy.image.pack import Compression, pack
from galaxy.image.sizes import part_sizes

Galaxy = Callable[..., Completed]
QUICK = Compression(name="lz4", options=("-comp", "lz4", "-b", "256K"))


def own_image(store: Store) -> Image:
    return Catalogue(store=store).images()[0]


def test_an_image_is_mounted_once_read_only_and_without_privileges(own_store: Store) -> None:
    image = own_image(own_store)
    root = mounted_root(own_store, image)
    assert mounted_root(own_store, image) == root
    assert mount_points().count(str(root)) == 1
    line = next(one for one in Path("/proc/self/mountinfo").read_text().splitlines() if f" {root} " in one)
    assert {"ro", "nosuid", "nodev"} <= set(line.split(" ")[5].split(","))
    with pytest.raises(OSError, match="Read-only"):
        (root / "tmp/x").touch()
    assert unmount_idle(own_store) == (image.id[:12],)
    assert not root.exists()


def test_another_mount_namespace_mounts_for_itself(own_store: Store) -> None:
    image = own_image(own_store)
    code = (
        "from galaxy.image.catalogue import Catalogue; from galaxy.image.mount import mounted_root;"
        "from galaxy.host.store import default_store as s;"
        f"print((mounted_root(s(), Catalogue(store=s()).resolve('{image.id}')) / 'usr/sbin/smbd').is_file())"
    )

    done = run(["unshare", "--mount", sys.executable, "-c", code], env={"GALAXY_ROOT": str(own_store.root)})
    assert done.stdout == "True\n"
    assert str(mount_point(own_store, image.id)) not in mount_points()


def test_a_changed_image_is_not_mounted(own_store: Store, galaxy: Galaxy) -> None:
    image = own_image(own_store)
    with image.squashfs.open("r+b") as file:
        file.seek(image.manifest.image_size // 2)
        file.write(b"tampered")
    with pytest.raises(PolicyError, match="changed after it was sealed"):
        mounted_root(own_store, image)
    assert galaxy(own_store, "image", "show", image.ref, "--sizes").returncode == 6
    assert str(mount_point(own_store, image.id)) not in mount_points()
    assert not list(own_store.journal.iterdir())


def test_a_forged_manifest_is_not_believed(own_store: Store) -> None:
    image = own_image(own_store)
    body = json.loads((image.path / "manifest.json").read_text())
    body["provenance"]["version"] = "4.99.0"
    (image.path / "manifest.json").write_text(json.dumps(body))
    with pytest.raises(PolicyError, match="manifest"):
        mounted_root(own_store, own_image(own_store))
    assert str(mount_point(own_store, image.id)) not in mount_points()


def test_every_byte_of_an_image_has_a_reason_and_a_part(store: Store, image: Image) -> None:
    root = mounted_root(store, image)
    listed = {row.path for row in image.manifest.files}
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert found - listed == {"usr/share/galaxy/seal.json"} | (found & {"usr/share/galaxy"})
    assert not [row.path for row in image.manifest.files if not row.reason]
    sizes = part_sizes(image, root)
    assert sum(size.raw for size in sizes) == image.manifest.raw_size
    assert abs(sum(size.packed for size in sizes) - image.manifest.image_size) < 100


@pytest.fixture(scope="module")
def opened(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image's tree, unpacked."""
    tree = tmp_path_factory.mktemp("opened") / "tree"
    run(["unsquashfs", "-q", "-n", "-d", tree, image.squashfs])
    return tree


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("usr/lib/**/libtalloc.so.2*", "libtalloc"),
        ("usr/lib/**/samba/netcmd/visualize.pyc", "visualize"),
        ("usr/share/samba/setup/provision_users.ldif", "provision ended with"),
    ],
)
def test_an_image_that_lacks_something_is_never_entered(
    opened: Path, tmp_path: Path, pattern: str, complaint: str
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(opened, tree, symlinks=True)
    gone = list(tree.glob(pattern))
    assert gone
    for path in gone:
        path.unlink()
    pack(tree, tmp_path / "image.squashfs", QUICK, 2)
    (tmp_path / "point").mkdir()
    with pytest.raises(BuildError, match=complaint):
        check_image(tmp_path / "image.squashfs", tmp_path / "point")
    assert not [point for point in mount_points() if point.startswith(str(tmp_path))]


def test_images_travel_and_are_removed(own_store: Store, galaxy: Galaxy, tmp_path: Path) -> None:
    image = own_image(own_store)
    done = galaxy(own_store, "image", "export", image.ref, tmp_path)
    assert done.returncode == 0, done.output
    assert galaxy(own_store, "image", "rm", image.id[:12]).returncode == 0
    assert galaxy(own_store, "image", "ls", "--json").stdout == "[]\n"
    done = galaxy(own_store, "image", "import", done.stdout.strip())
    assert done.returncode == 0, done.output
    assert own_image(own_store).manifest == image.manifest
    mounted_root(own_store, own_image(own_store))
    assert unmount(own_store, image.id)


def test_a_build_interrupted_while_its_image_is_checked_leaves_nothing(
    own_store: Store, tmp_path: Path
) -> None:
    """Then there are a stage, a squashfs, and namespaces with mounts, a loop device and a provision in them."""
    shutil.rmtree(own_store.images)
    settled = watch(own_store)
    log = tmp_path / "log"
    build = [*GALAXY, "build", "4.17.12", "--packages"]
    with background(build, log=log, env={"GALAXY_ROOT": str(own_store.root)}) as process:
        deadline = time.monotonic() + 300
        while "checking the sealed" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=180) == 130, log.read_text()
    settled()
