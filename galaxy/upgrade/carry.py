"""What of a DC goes over when it joins anew: everything of people's, for no other DC has that.

The directory comes from another DC. Samba replicates neither sysvol, with the ids that its ACLs are written in, nor
shares and who may do what there, keys and keytabs, nor whatever else somebody keeps below /var/lib/samba or in
/var/cache/samba, which is where Samba's own backups go.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from galaxy.host.files import sync_folder
from galaxy.host.progress import say
from galaxy.upgrade.filechanges import KEYTAB, PEOPLES_DATABASES, is_readable, is_sambas_own, is_socket

_PLACES = ("state", "state/private", "cache")
# Ids that the server has given to SIDs; files of sysvol and of shares carry them.
_IDS = "state/private/idmap.ldb"


def take_over(old: Path, new: Path) -> None:
    """Rename what is people's out of a server's former folder into its present one. Cut off, it can be called again."""
    for name in (*_databases(old), *_files(old, new)):
        target = new / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        (old / name).rename(target)
    for place in _PLACES:
        for folder in (old / place, new / place):
            sync_folder(folder)


def _databases(old: Path) -> Iterator[str]:
    """Those that people write; the join has made new ones. A damaged one would keep the older version from starting."""
    for name in (_IDS, *PEOPLES_DATABASES):
        if not (old / name).exists():
            continue
        if is_readable(old / name):
            yield name
        else:
            say(f"warning: {old / name} is damaged, and is not taken over")


def _files(old: Path, new: Path) -> Iterator[str]:
    for place in _PLACES:
        for path in sorted((old / place).iterdir()):
            name = f"{place}/{path.name}"
            if name in _PLACES or is_socket(path):
                continue
            # Samba's own keytabs are the new account's; one of another name is somebody's.
            kept = KEYTAB.fullmatch(name) and not (new / name).exists()
            if kept or not is_sambas_own(name):
                yield name
