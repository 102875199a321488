"""What forbids an upgrade is found here, before anything is touched."""

from galaxy.gate.policy import load_policy
from galaxy.host.errors import InputError, ServerError
from galaxy.host.files import require_space
from galaxy.image.catalogue import SHORT, Catalogue, Image
from galaxy.image.mount import verify_digest
from galaxy.image.sealed import require_sealed
from galaxy.release.version import Version
from galaxy.server.config import HostNetwork, Server
from galaxy.server.configuration import require_smb_conf
from galaxy.server.contents import shares_blocks
from galaxy.server.copying import space_of
from galaxy.server.lifecycle import status
from galaxy.server.ready import answers
from galaxy.server.rootfs import image_of
from galaxy.server.smbconf import smb_settings
from galaxy.server.sound import require_sound
from galaxy.server.swap import require_movable
from galaxy.upgrade.levels import require_level
from galaxy.upgrade.notices import notices
from galaxy.upgrade.plan import ImageChoice, UpgradePlan, UpgradeRequest, plan_upgrade
from galaxy.upgrade.smoke import smoke

# The snapshot and the rehearsal's copy, and what the new version writes into each when it first starts.
_COPIES = 2
_ROOM = 100_000_000
# How long each service of a server that is about to be replaced may take to answer.
_PATIENCE = 15.0


def preflight(server: Server, request: UpgradeRequest) -> UpgradePlan:
    """The plan of an upgrade that nothing forbids.

    InputError for a wrong version, PolicyError for an image that may not run here, HostError for too little
    space, ServerError for a server that is broken before anything was done. Writes nothing.
    """
    old, new = image_of(server), Catalogue(store=server.store).resolve(request.ref)
    _require_forward(server, old, new)
    _require_good(server, new, allow_uncertified=request.allow_uncertified)
    require_movable(server)
    running = _require_sound(server)
    if running and not request.rehearsal:
        require_tried(server, ", or leave --no-rehearsal out")
    copies = _COPIES if request.rehearsal else 1
    need = copies * (_ROOM + (0 if shares_blocks(server.folder) else space_of(server.folder)))
    require_space(server.folder, need, f"the upgrade of {server.name}")
    require_level(server, new.version, running=running)
    source, target = ImageChoice.of(old), ImageChoice.of(new)
    return plan_upgrade(
        server.name,
        source,
        target,
        running=running,
        rehearsal=request.rehearsal,
        need=need,
        notices=notices(server, source, target),
    )


def _require_forward(server: Server, old: Image, new: Image) -> None:
    if new.id == old.id:
        raise InputError(
            f"{server.name} runs {old.ref} ({old.id[:SHORT]}) already",
            "Name another version: galaxy image ls",
        )
    if Version.parse(new.version) < Version.parse(old.version):
        raise InputError(
            f"{new.ref} is older than {old.ref}, which {server.name} runs: an older Samba cannot be trusted "
            "with a newer one's databases",
            f"To go back: galaxy rollback {server.name}",
        )


def _require_good(server: Server, image: Image, *, allow_uncertified: bool) -> None:
    """The image's bytes are its own, and on a host's network it has been judged fit for production."""
    if isinstance(server.config.network, HostNetwork) and not allow_uncertified:
        from galaxy.gate.certificate import require_certificate  # noqa: PLC0415 - 0.1 s that no matrix need pay

        require_certificate(server.store, image, load_policy(), waivable=True)  # which reads its bytes too
    else:
        verify_digest(image)
    require_sealed(image.manifest, image.squashfs)


def _require_sound(server: Server) -> bool:
    """Whether the server runs; ServerError when it should and does not, or does not answer."""
    now = status(server)
    if now.state == "stopped":
        _require_folders(server)
        require_sound(server)
        return False
    if now.state == "ended":
        raise ServerError(
            f"{server.name} is broken before the upgrade: {now.why or 'it is not running'}",
            f"Start it (galaxy start {server.name}) or stop it (galaxy stop {server.name}) first.",
        )
    silent = {name: why for name, why in answers(server, _PATIENCE).items() if why}
    if silent:
        said = ", ".join(f"{name} ({why})" for name, why in silent.items())
        raise ServerError(
            f"{server.name} is broken before the upgrade: it does not answer {said}",
            f"Mend that first; its log may say why: galaxy logs {server.name}",
        )
    require_smb_conf(server, f"{server.name} is broken before the upgrade")
    return True


def require_well(server: Server) -> None:
    """ServerError when a running server does not serve its users already: no version could pass what is asked then.

    Not for a plan, which writes nothing: the directory notes a logon.
    """
    try:
        smoke(server)
    except ServerError as error:
        raise ServerError(
            f"{server.name} is broken before the upgrade: {error.message}", error.hint
        ) from None


def require_tried(server: Server, otherwise: str = "") -> None:
    """InputError when smb.conf has changed since the server started with it: going back to it may fail as well.

    Where it includes others, any file or folder beside it may be what has changed.
    """
    conf, record = server.etc / "smb.conf", server.record
    if smb_settings(server) is None:
        conf = max((server.etc, *server.etc.rglob("*")), key=lambda path: path.lstat().st_mtime_ns)
    if record.exists() and conf.stat().st_mtime_ns > record.stat().st_mtime_ns:
        raise InputError(
            f"{conf} has been written to since {server.name} started: whether any version starts with it is not known",
            f"Restart it first (galaxy restart {server.name}){otherwise}.",
        )


def _require_folders(server: Server) -> None:
    for folder in (server.etc, server.state):
        if not folder.is_dir():
            raise ServerError(
                f"{server.name} is broken before the upgrade: {folder} is missing",
                "Put it back, from a snapshot or a backup.",
            )
