"""What the scribe's server has acknowledged, and whether it still has it."""

import random
from dataclasses import dataclass
from pathlib import Path

from smbprotocol.open import FilePipePrinterAccessMask
from smbprotocol.tree import TreeConnect

from scenarios.endurance.scribe import (
    CONTAINER,
    FILES,
    FOLDER,
    USERS,
    contents_of,
    dn_of,
    ldap_session,
    password_of,
    sysvol,
)
from verify.clients import smb
from verify.target import Target

# How many of each kind are looked into through the server: of the newest, and of all others.
_NEWEST = 2
_NEWEST_FILES = 10
_SAMPLE = 3


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The lists in a folder."""

    folder: Path
    chance: random.Random

    def names(self, kind: str) -> list[str]:
        """The acknowledged names of a list, oldest first; a last line without its end is no acknowledgement."""
        file = self.folder / kind
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return text.rpartition("\n")[0].splitlines()

    @property
    def count(self) -> int:
        """How many writes have been acknowledged."""
        return sum(self.counts)

    @property
    def counts(self) -> tuple[int, int]:
        """How many users and how many files have been acknowledged."""
        return len(self.names(USERS)), len(self.names(FILES))

    def lost(self, target: Target, share: Path) -> list[str]:
        """Every acknowledged write that is not there, in words; `share` is sysvol on this host.

        Users are found by a search, the newest and some others by a logon too. Files are listed and read through the
        server in the same way, and all of them compared on this host.
        """
        users, files = self.names(USERS), self.names(FILES)
        return [*self._lost_users(target, users), *self._lost_files(target, files, share)]

    def _lost_users(self, target: Target, users: list[str]) -> list[str]:
        with ldap_session(target) as session:
            base = f"{CONTAINER},{target.base_dn}"
            found = {entry.one("cn") for entry in session.search(base, "(objectClass=user)", ["cn"])}
        lost = [f"user {name}" for name in users if name not in found]
        for name in self._some([name for name in users if name in found], _NEWEST):
            try:
                with ldap_session(target, dn_of(target, name), password_of(name)):
                    pass  # the bind is the proof
            except Exception as error:  # noqa: BLE001 - whatever keeps a user from logging on is a loss
                lost.append(f"user {name} cannot log on: {error}")
        return lost

    def _lost_files(self, target: Target, files: list[str], share: Path) -> list[str]:
        with sysvol(target) as tree:
            folder = smb.open_folder(tree, FOLDER, access=FilePipePrinterAccessMask.GENERIC_READ)
            found = set(smb.names_in(folder))
            folder.close(get_attributes=False)
            lost = [f"file {name}" for name in files if name not in found]
            there = [name for name in files if name in found]
            read = {name: _read(tree, name) for name in self._some(there, _NEWEST_FILES)}
        read.update({name: (share / FOLDER / name).read_bytes() for name in there if name not in read})
        return [
            *lost,
            *(f"file {name} has other contents" for name in there if read[name] != contents_of(name)),
        ]

    def _some(self, names: list[str], newest: int) -> list[str]:
        older = names[: max(0, len(names) - newest)]
        return [*names[len(older) :], *self.chance.sample(older, min(_SAMPLE, len(older)))]


def _read(share: TreeConnect, name: str) -> bytes:
    file, _ = smb.open_file(share, rf"{FOLDER}\{name}", access=FilePipePrinterAccessMask.GENERIC_READ)
    try:
        return bytes(file.read(0, 1 << 16))
    finally:
        file.close(get_attributes=False)
