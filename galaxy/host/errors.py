"""The errors that Galaxy raises on purpose, each with the exit code that the command line documents.

Anything else that escapes is a bug and keeps its traceback.
"""


class GalaxyError(Exception):
    """A failure that the user can understand: what happened and why, and what to do about it.

    `message` is one line, `hint` one sentence that starts with a verb; `exit_code` is the process's.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class GateError(GalaxyError):
    """A verify run that failed, or that certifies nothing."""

    exit_code = 1


class InputError(GalaxyError):
    """Wrong use: a name, option, file or reference that cannot be taken."""

    exit_code = 2


class HostError(GalaxyError):
    """The host lacks something: root, a tool, a kernel feature, space, a mirror that answers."""

    exit_code = 3


class BuildError(GalaxyError):
    """A release that could not be fetched, compiled or sealed."""

    exit_code = 4


class ServerError(GalaxyError):
    """A server that did not get up, stay up or stop."""

    exit_code = 5


class PolicyError(GalaxyError):
    """Refused: not certified, tampered with, or data would be lost."""

    exit_code = 6


class InterruptedByUser(BaseException):
    """SIGINT, SIGTERM or SIGHUP; raised in the main thread so that every `with` unwinds.

    A wish and no error, so that nothing that handles errors takes it for one; and no KeyboardInterrupt, which typer
    and pytest end in their own way.
    """

    exit_code = 130

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.message = f"interrupted by {signal_name}"
        self.hint = "Nothing half made is left. To see what runs: galaxy ls"


class CommandError(GalaxyError):
    """A program that Galaxy ran ended badly. Callers usually translate it into one of the above."""

    exit_code = 3

    def __init__(self, argv: tuple[str, ...], returncode: int, output: str, hint: str = "") -> None:
        tail = "\n".join(output.strip().splitlines()[-8:])
        why = f"was ended by signal {-returncode}" if returncode < 0 else f"ended with {returncode}"
        super().__init__(f"{argv[0]} {why}: {tail}" if tail else f"{argv[0]} {why}", hint)
        self.argv = argv
        self.returncode = returncode
        self.output = output


class CommandTimeoutError(CommandError):
    """A program that did not end within its deadline; its whole process group was killed."""

    def __init__(self, argv: tuple[str, ...], seconds: float, output: str) -> None:
        super().__init__(argv, -9, output)
        self.message = f"{argv[0]} did not end within {seconds:g} s"
        self.seconds = seconds
