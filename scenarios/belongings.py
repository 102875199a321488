"""What people keep on a DC and no other DC has: it must be there after any way back that says it loses nothing."""

from galaxy.server.config import Server
from galaxy.server.execute import exec_

_FILES = {
    "state/shares/team/plan.txt": "a share's file\n",
    "state/private/webserver.keytab": "somebody's keytab\n",
    "cache/samba-backup.tar.bz2": "a backup\n",
}
_CHANGED = "another plan\n"
_RIGHT = "dn: sid=S-1-5-21-1-2-3-1000\nobjectClass: privilege\ncomment: galaxy\nprivilege: SeDiskOperatorPrivilege\n"
_PRIVILEGES = ("-H", "/var/lib/samba/private/privilege.ldb")


def leave(server: Server) -> None:
    """Put them on a running server: files, a share of the registry, a privilege."""
    for name, text in _FILES.items():
        file = server.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
    _said(server, "net", "conf", "addshare", "team", "/var/lib/samba/shares/team")
    _said(server, "ldbadd", *_PRIVILEGES, stdin=_RIGHT)


def change(server: Server) -> None:
    """Write to the first file, remove the second: what a state of before has otherwise."""
    plan, keytab, *_ = _FILES
    (server.folder / plan).write_text(_CHANGED, encoding="utf-8")
    (server.folder / keytab).unlink()


def require_changed(server: Server) -> None:
    """What was changed is so, and the rest is there."""
    plan, keytab, *rest = _FILES
    wrong = [name for name in rest if not _has(server, name, _FILES[name])]
    wrong += [plan] if not _has(server, plan, _CHANGED) else []
    wrong += [keytab] if (server.folder / keytab).exists() else []
    assert not wrong, f"people's files are not what they were made: {', '.join(wrong)}"


def require(server: Server) -> None:
    """They are there, and the version that runs can read them."""
    lost = [name for name, text in _FILES.items() if not _has(server, name, text)]
    assert not lost, f"people's files are gone: {', '.join(lost)}"
    shares = _said(server, "net", "conf", "listshares")
    assert "team" in shares.split(), f"the registry's share is gone: {shares!r}"
    rights = _said(server, "ldbsearch", *_PRIVILEGES, "(comment=galaxy)", "privilege")
    assert "SeDiskOperatorPrivilege" in rights, f"the privilege is gone: {rights[-300:]}"


def _has(server: Server, name: str, text: str) -> bool:
    file = server.folder / name
    return file.is_file() and file.read_text(encoding="utf-8") == text


def _said(server: Server, *argv: str, stdin: str = "") -> str:
    done = exec_(server, argv, stdin=stdin)
    assert done.returncode == 0, f"{' '.join(argv[:3])} fails: {done.output[-300:]}"
    return done.stdout
