"""Which part of an image a path belongs to: the rows of `galaxy image show --sizes`."""

from collections.abc import Callable

PARTS = (
    "samba programs",
    "samba libraries",
    "samba python",
    "samba data",
    "python",
    "cryptography",
    "other python",
    "system libraries",
    "galaxy",
    "system",
)


def part_of(path: str) -> str:
    """The part of a path (relative to the root)."""
    if "-packages/" in path:
        return _python_part(path.partition("-packages/")[2])
    fitting = (part for matches, part in _RULES if matches(path, path.rpartition("/")[2]))
    return next(fitting, "system")


def _python_part(inner: str) -> str:
    top = inner.partition("/")[0].partition(".")[0]
    if top in ("cryptography", "_cffi_backend", "bcrypt"):
        return "cryptography"
    return (
        "samba python"
        if top in ("samba", "ldb", "tdb", "talloc", "tevent", "_ldb_text", "_tdb_text")
        else "other python"
    )


_SAMBA_STEMS = (
    "libsamba", "libsmb", "libndr", "libdcerpc", "libldb", "libtdb", "libtalloc", "libtevent", "libwbclient",
    "libnetapi", "libpytalloc", "libpyldb", "libnss_win",
)  # fmt: skip


def _is_samba(path: str, name: str) -> bool:
    return "/samba/" in path or "/ldb/" in path or name.startswith(_SAMBA_STEMS)


_RULES: tuple[tuple[Callable[[str, str], bool], str], ...] = (
    (lambda path, _: "galaxy" in path or path == "usr/bin/python3", "galaxy"),
    (lambda path, name: path.startswith("usr/lib/python3") or name.startswith("libpython"), "python"),
    (lambda path, _: path.startswith("usr/share/samba/"), "samba data"),
    (lambda _, name: name in ("dash", "sh"), "system"),
    (lambda path, _: path.startswith(("usr/bin/", "usr/sbin/", "usr/libexec/")), "samba programs"),
    (_is_samba, "samba libraries"),
    (lambda _, name: ".so" in name, "system libraries"),
)
