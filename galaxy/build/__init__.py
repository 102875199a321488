"""From a release to an installed tree: plans, build roots, compiling, unpacking packages."""

from galaxy.build.plan import BuildPlan, BuildRequest, plan_build
from galaxy.build.tree import InstalledTree, forget_tree, installed_tree

__all__ = ["BuildPlan", "BuildRequest", "InstalledTree", "forget_tree", "installed_tree", "plan_build"]
