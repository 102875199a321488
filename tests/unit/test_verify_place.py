"""What a cell's name tells a check: which version made the domain that it looks at."""

import pytest

from galaxy.release.version import Version
from verify.place import NOWHERE_ELSE, Place


@pytest.mark.parametrize(
    ("cell", "maker"),
    [
        ("lifecycle[4.22.11]", "4.22.11"),
        ("upgrade[4.17.12+packages->4.22.11]", "4.17.12"),
        ("content[4.17.12->4.22.6->4.24.7]", "4.17.12"),
    ],
)
def test_the_first_image_of_a_cell_has_made_its_domain(cell, maker):
    assert Place(cell=cell, checkpoint="x").maker == Version.parse(maker)


def test_who_made_somebodys_own_domain_is_not_known():
    assert NOWHERE_ELSE.maker is None
