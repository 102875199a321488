"""Where Galaxy's own packages are: for programs of its own that it starts, and for what it reads of them."""

from importlib.util import find_spec
from pathlib import Path


def package_root(package: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.submodule_search_locations, package
    return Path(spec.submodule_search_locations[0])
