"""Comparing images: what differs is found, named once, and traced to its likely source."""

from benchmarks.repro import compare
from galaxy.image.manifest import FileRow, Manifest, Provenance


def row(path: str, sha256: str = "a", reason: str = "needed") -> FileRow:
    return FileRow(path=path, kind="file", mode="0644", size=1, sha256=sha256, reason=reason, part="samba")


def manifest(*rows: FileRow, image: str = "1" * 64, **provenance: object) -> Manifest:
    origin = {"version": "4.22.11", "packaged": False, "origin": "apt", "suite": "trixie", "input_id": "i"}
    return Manifest(
        sealer=2,
        provenance=Provenance.model_validate({**origin, **provenance}),
        made=f"2026-01-01T00:00:0{len(rows)}+00:00",
        galaxy="1",
        compression="xz",
        image_sha256=image,
        image_size=1,
        left_out={},
        files=rows,
    )


def test_equal_images_differ_in_nothing() -> None:
    assert compare(manifest(row("etc/passwd")), manifest(row("etc/passwd"))) == ()


def test_other_inputs_come_first_and_show_only_what_differs() -> None:
    one = manifest(row("etc/passwd"), packages=("gcc=1", "make=1"))
    other = manifest(row("etc/passwd", "b"), packages=("gcc=2", "make=1"))
    found = compare(one, other)
    assert [(item.where, item.one, item.other) for item in found] == [
        ("input packages", "gcc=1", "gcc=2"),
        ("etc/passwd", "sha256 a", "sha256 b"),
    ]


def test_a_guess_names_the_usual_suspect() -> None:
    paths = ("usr/lib/python3/samba/a.pyc", "usr/libexec/galaxy/init", "usr/lib/libx.so.0", "etc/hosts")
    found = compare(manifest(*map(row, paths)), manifest(*(row(path, "b") for path in paths)))
    guesses = {item.where: item.guess for item in found}
    assert "Python" in guesses[paths[0]]
    assert "gcc" in guesses[paths[1]]
    assert "library" in guesses[paths[2]]
    assert "made" in guesses[paths[3]]


def test_a_file_or_a_reason_that_only_one_has_is_told() -> None:
    found = compare(manifest(row("a"), row("b")), manifest(row("b", reason="wanted")))
    assert [(item.where, item.one, item.other) for item in found] == [
        ("a", "file", "not there"),
        ("b", "reason needed", "reason wanted"),
    ]
    assert "same bytes" in found[1].guess


def test_the_same_files_in_another_image_point_at_the_sealing() -> None:
    found = compare(manifest(row("a")), manifest(row("a"), image="2" * 64))
    assert [item.where for item in found] == ["image.squashfs"]
