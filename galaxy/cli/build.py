"""galaxy build."""

from typing import Annotated

import typer

from galaxy.cli.render import ready_store, size
from galaxy.host.settings import load_settings


def build(
    version: Annotated[str, typer.Argument(help="A Samba version, such as 4.22.11.")],
    *,
    origin: Annotated[
        str | None,
        typer.Option("--from", help="Where the source comes from: apt (default), tarball or directory."),
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="The tarball (a file or an http(s) address) or the source folder.")
    ] = None,
    packages: Annotated[
        bool, typer.Option("--packages", help="Take the distribution's binary packages; compile nothing.")
    ] = False,
    sha256: Annotated[str | None, typer.Option(help="The tarball's SHA-256, 64 hexadecimal digits.")] = None,
    signature: Annotated[
        str | None, typer.Option(help="The tarball's detached signature: a file or an http(s) address.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="Compilers at once (default: all cores).")
    ] = None,
    renew: Annotated[
        bool,
        typer.Option(
            "--renew-root", help="First make the build root anew, with the suite's present packages."
        ),
    ] = False,
) -> None:
    """Make an image of a Samba version: from source, or with --packages from the distribution's binary packages.

    An image of the same inputs is recognised and not made again. A tarball needs --sha256 or --signature.
    """
    from galaxy.build import BuildRequest  # noqa: PLC0415 - the help of this command needs none of it
    from galaxy.image.make import make_image  # noqa: PLC0415

    request = BuildRequest(
        version=version,
        origin=origin,
        path=path,
        packages=packages,
        sha256=sha256,
        signature=signature,
        jobs=jobs,
        renew=renew,
    )
    image = make_image(ready_store("Building an image"), load_settings(), request)
    print(f"{image.ref}  {image.id[:12]}  {size(image.manifest.image_size)}")
