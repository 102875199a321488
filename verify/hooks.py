"""The hook through which whoever runs the checks says which server an item looks at.

A plugin that has cells gives every check its places by parametrising the fixture `place`
(`metafunc.parametrize("place", [Place(...), ...], indirect=True, ids=str)`) and answers
`pytest_galaxy_target`. Without one there is the implicit cell `target` with its checkpoint `now`, and
`--target` names the server.
"""

import pytest

from verify.place import Place
from verify.target import Target


@pytest.hookspec(firstresult=True)
def pytest_galaxy_target(item: pytest.Item, place: Place) -> Target | None:
    """The server that an item checks, asked in the item's setup; raise Blocked when there is none."""
