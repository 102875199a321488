"""What the benchmarks' commands share: an interruption undoes what was begun, errors are told as galaxy does."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from galaxy.cli.process import interruptible, show_error
from galaxy.host.errors import GalaxyError, InterruptedByUser


@contextmanager
def command() -> Iterator[None]:
    """The body of a command; ends the process with galaxy's exit codes."""
    try:
        with interruptible():
            yield
    except KeyboardInterrupt:
        sys.exit(InterruptedByUser.exit_code)
    except (GalaxyError, InterruptedByUser) as error:
        show_error(error)
        sys.exit(error.exit_code)
