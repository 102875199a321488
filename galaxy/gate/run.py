"""What a verify run was asked: `run.json` in its folder, written before the first item."""

import re
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galaxy.host.errors import InputError
from galaxy.host.files import write_atomic
from galaxy.release.version import Version

RUN_FILE = "run.json"
# What was to be run (node id -> what its result would be called), how the workers spent their time, and the items of
# cells that an interrupted run had finished, and what had failed in others, while it is resumed.
PLAN_FILE = "plan.json"
TIMING_FILE = "timing.json"
FINISHED_FILE = "finished.jsonl"
FAILED_FILE = "failed.jsonl"


class ImageUnderTest(BaseModel):
    """An image that takes part in a run; `id` is the SHA-256 of its squashfs, which a certificate names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ref: str
    id: str


_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})", re.ASCII)


class Shard(BaseModel):
    """One part of a matrix that is spread over several runs: `number` of `of`.

    `whole` names the cells of the whole matrix, so that a merge can tell whether it has them all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    of: int = Field(ge=1)
    whole: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_numbers(words: str) -> tuple[int, int]:
    """The two numbers of `K/N`; InputError unless K is one of 1 to N."""
    match = _SHARD.fullmatch(words)
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        raise InputError(f"{words!r} is not a shard", "Write it like 1/3: the first of three.")
    return number, of


class RunInfo(BaseModel):
    """A run's question: which images, which cells, which part of the checks.

    `selection` is the `-k` expression ('' for all checks); `cells` gives for each cell the refs of its
    images; `suite` is the digest of the checks' and scenarios' sources. Of a shard, `images` are those of the whole
    matrix and `cells` its own. `checked` says which image the checked server runs, by cell and checkpoint: a check
    counts for that one, a step for all images of its cell.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    started: datetime
    galaxy: str
    suite: str
    matrix: str
    selection: str = ""
    images: tuple[ImageUnderTest, ...]
    cells: dict[str, tuple[str, ...]]
    checked: dict[str, dict[str, str]] = Field(default_factory=dict)
    shard: Shard | None = None

    def image(self, ref: str) -> ImageUnderTest:
        """The image of that ref; KeyError when it takes no part."""
        for image in self.images:
            if image.ref == ref:
                return image
        raise KeyError(ref)

    def concerns(self, ref: str, cell: str, checkpoint: str, *, step: bool) -> bool:
        """Whether an item at that place tells something about the image `ref`."""
        at = self.checked.get(cell, {}).get(checkpoint)
        return ref in refs_of(cell) if step or at is None else ref == at

    def bears(self, ref: str, cell: str, checkpoint: str) -> bool:
        """Whether what fails at that place is held against `ref` too: where an older image of the cell is checked.

        On the way back that runs on what the newer one has left; beside it, on what that one has replicated. The older
        one was judged by itself; what is new here is the newer.
        """
        at = self.checked.get(cell, {}).get(checkpoint)
        return at is not None and ref in refs_of(cell) and ref_order(at) < ref_order(ref)

    def write(self, folder: Path) -> None:
        """Write run.json into the run's folder."""
        write_atomic(folder / RUN_FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a run's run.json; InputError when the folder holds no run."""
        try:
            return cls.model_validate_json((folder / RUN_FILE).read_bytes())
        except OSError as error:
            why = f"{folder} is not the folder of a verify run: {RUN_FILE}: {error.strerror}"
            raise InputError(why, "Name a folder that galaxy verify --report made.") from None
        except ValidationError as error:
            why = f"{folder / RUN_FILE} is damaged: {error.errors()[0]['msg']}"
            raise InputError(why, "Run galaxy verify again.") from None


def scenario_of(cell: str) -> str:
    """The scenario's name in a cell's: `lifecycle` in `lifecycle[4.17.12]`."""
    return cell.partition("[")[0]


def refs_of(cell: str) -> tuple[str, ...]:
    """The refs in a cell's name: (`4.17.12`, `4.22.11`) in `upgrade[4.17.12->4.22.11]`."""
    inside = cell.partition("[")[2].removesuffix("]")
    return tuple(inside.split("->")) if inside else ()


def ref_order(ref: str) -> tuple[Version, bool, str]:
    """The sort key of a ref: by version, an image from source before one from packages."""
    version, _, kind = ref.partition("+")
    return Version.parse(version), bool(kind), ref
