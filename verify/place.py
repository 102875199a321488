"""Where in a run an item stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cell and a checkpoint of it; `order` sorts the steps and checkpoints of one cell."""

    cell: str
    checkpoint: str
    order: int = 0

    def __str__(self) -> str:
        return f"{self.cell}@{self.checkpoint}"


NOWHERE_ELSE = Place(cell="target", checkpoint="now")
