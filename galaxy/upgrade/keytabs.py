"""The keys of a DC that takes another one's place: tickets of before stay good."""

from pathlib import Path

from galaxy.host.errors import ServerError

_VERSION = b"\x05\x02"


def keep_keys(old: Path, new: Path) -> None:
    """Let the new DC take tickets that were made for the old one, whose names it has.

    A partner keeps its ticket for hours and does not ask for another when it is refused: it would not replicate from
    the new DC until then (WERR_GEN_FAILURE). A ticket names the version of its key, and the first one of that version
    in the keytab is tried: so the new account's have other versions (`newest_key`). A keytab is two octets of version,
    then entries.
    """
    if not (old.exists() and new.exists()):
        return
    keys = old.read_bytes()
    with new.open("r+b") as keytab:
        if keytab.read(2) == keys[:2] == _VERSION:
            keytab.seek(0, 2)
            keytab.write(keys[2:])


def newest_key(keytab: Path) -> int:
    """The highest version of a key in a keytab; 0 without one."""
    import krb5  # noqa: PLC0415 - only a rejoin needs it

    if not keytab.exists():
        return 0
    context = krb5.init_context()
    try:
        return max((entry.kvno for entry in krb5.kt_resolve(context, f"FILE:{keytab}".encode())), default=0)
    except krb5.Krb5Error as error:
        raise ServerError(f"{keytab} cannot be read: {error}", "Put one in order, or remove it.") from None
