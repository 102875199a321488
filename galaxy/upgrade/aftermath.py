"""After the commit point: the smoke tier of the checks on the server itself, while clients are at work."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import GalaxyError, ServerError
from galaxy.host.progress import say, step
from galaxy.host.wording import first_of
from galaxy.server.config import Server
from galaxy.upgrade.switch import stays_moved
from galaxy.upgrade.tier import TierResult, password_is_good, run_tier


class Aftermath(BaseModel):
    """What the checks say of the server after it was moved.

    `checks` is None when they were not run: `why` says what keeps them from it in the usual run of things, `error` what
    has failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checks: TierResult | None
    why: str = ""
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the checks were run and found nothing wrong."""
        return self.checks is not None and not self.trouble and not self.checks.before

    @property
    def trouble(self) -> str:
        """What is wrong, as the end of a sentence; '' when nothing was found."""
        if self.error:
            return f"it could not be checked: {self.error}"
        if self.checks is None or not self.checks.troubles:
            return ""
        return f"{len(self.checks.troubles)} checks fail: {first_of(self.checks.troubles, 3, '; ')}"


def look_after(server: Server, known: tuple[str, ...] = ()) -> Aftermath:
    """Run the smoke tier on a running server, if its administrator's password is the one from its creation.

    `known`: what failed with the version before too, as a rehearsal has found out.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        with stays_moved(server):
            return _look(server, stamp, known)
    except (GalaxyError, OSError) as error:
        # What was committed stays so: that nobody could look at it, on a full disk say, does not undo it.
        say(f"{server.name}: the smoke tier could not be run: {error}")
        return Aftermath(checks=None, error=str(error))


def require_good(after: Aftermath, server: str, image: str, hint: str = "") -> None:
    """ServerError when something is wrong, or nobody knows: a server that was moved and not looked at is not done."""
    if not after.trouble:
        return
    look = (
        f"Details are in {after.checks.folder}"
        if after.checks is not None
        else f"With that mended: galaxy verify --server {server}"
    )
    raise ServerError(f"{server} runs {image}, but {after.trouble}", ". ".join(filter(None, (look, hint))))


def _look(server: Server, stamp: str, known: tuple[str, ...]) -> Aftermath:
    if not password_is_good(server):
        why = (
            f"the administrator's password is not the one in {server.secrets / 'admin-password'} any more; with "
            "the present one in that file: galaxy verify --server " + server.name
        )
        say(f"{server.name}: the smoke tier was not run: {why}")
        return Aftermath(checks=None, why=why)
    with step(f"checking {server.name} with clients at work"):
        result = run_tier(server, server.store.runs / f"{stamp}-{server.name}")
        return Aftermath(checks=result.less(known))
