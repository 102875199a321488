"""Where in a run an item stands."""

from dataclasses import dataclass

from galaxy.gate.run import ref_order, refs_of
from galaxy.release.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cell and a checkpoint of it; `order` sorts the steps and checkpoints of one cell."""

    cell: str
    checkpoint: str
    order: int = 0

    def __str__(self) -> str:
        return f"{self.cell}@{self.checkpoint}"

    @property
    def maker(self) -> Version | None:
        """The version that made the domain: the first that the cell names. None where it is somebody's own."""
        refs = refs_of(self.cell)
        return ref_order(refs[0])[0] if refs else None


NOWHERE_ELSE = Place(cell="target", checkpoint="now")
