"""A new version that does not work: defects laid over an image, in this process's own mounts, for a block.

The image itself is not touched: what is laid over it exists only in the mount namespace of the worker, from where a
server's root is bound.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.process import run
from galaxy.image.catalogue import Image
from galaxy.image.mount import mounted_root
from scenarios.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """Which program is replaced by what, and by which words (a regular expression) the upgrade's error tells of it.

    `silent`: something never answers, which only the time can tell. `original`: another program, which nothing uses, in
    whose place the real one is for the script to go on with.
    """

    program: str
    script: str
    says: str
    silent: bool = False
    original: str = ""


# Each fails the upgrade at another place. What one says has to be told by the error, which picks lines of the log that
# speak of trouble (galaxy/server/logs.py).
SABOTAGES: Mapping[str, Sabotage] = {
    "dies": Sabotage(
        program="usr/sbin/samba",
        script="#!/bin/sh\necho 'sabotage: no such luck' >&2\nexit 1\n",
        says="sabotage: no such luck",
    ),
    "hangs": Sabotage(
        program="usr/sbin/samba",
        script="#!/usr/bin/python3\nimport signal\nsignal.pause()\n",
        says="does not answer .*within",
        silent=True,
    ),
    "spoils": Sabotage(
        program="usr/sbin/samba",
        script="#!/bin/sh\nfor f in /var/lib/samba/private/sam.ldb.d/*.ldb; do\n"
        'echo spoilt >"$f" && echo "sabotage: failed, spoilt $f" >&2\ndone\nexit 1\n',
        says=r"sabotage: failed, spoilt .*\.ldb",
    ),
    "misses-a-service": Sabotage(
        program="usr/sbin/smbd",
        script="#!/bin/sh\nexit 1\n",
        says="smbd child process exited",
    ),
    "fails-the-probe": Sabotage(
        program="usr/bin/smbclient",
        script="#!/bin/sh\necho NT_STATUS_SABOTAGE\nexit 1\n",
        says="NT_STATUS_SABOTAGE",
    ),
}

# Nothing of these shows in how a version starts and answers: only a rehearsal finds them.
HIDDEN: Mapping[str, Sabotage] = {
    "changes-data": Sabotage(
        program="usr/sbin/smbd",
        original="usr/bin/mdb_copy",
        script="""#!/bin/sh
db=/var/lib/samba/private/sam.ldb
ldbsearch -H $db "(sAMAccountName=Guest)" dn | while read -r key value; do
    [ "$key" = dn: ] || continue
    printf "dn: %s\\nchangetype: modify\\nreplace: description\\ndescription: sabotage\\n" "$value" | ldbmodify -H $db
done >&2
exec /usr/bin/mdb_copy "$@"
""",
        says=r"CN=Guest.*description",
    ),
}
ALL: Mapping[str, Sabotage] = {**SABOTAGES, **HIDDEN}


@contextmanager
def sabotaged(world: World, image: Image, name: str) -> Iterator[None]:
    """The image has that defect for servers that this process starts in the block."""
    sabotage = ALL[name]
    root = mounted_root(world.store, image)
    with tempfile.TemporaryDirectory(prefix="galaxy-sabotage-", dir="/var/tmp") as folder:
        file = Path(folder) / "program"
        file.write_text(sabotage.script, encoding="utf-8")
        file.chmod(0o755)
        laid = [(root / sabotage.program, root / sabotage.original)] if sabotage.original else []
        with ExitStack() as stack:
            for source, place in (*laid, (file, root / sabotage.program)):
                stack.enter_context(world.lab.entry.temporarily("mount", place))
                run(["mount", "--bind", source, place])
            yield
