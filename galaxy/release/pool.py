"""Files of the archives' pools: are they still there, and fetch them into the store with their digest checked."""

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3

from galaxy.host.errors import BuildError, CommandError, HostError
from galaxy.host.files import require_space, sha256_file
from galaxy.host.journal import Entry
from galaxy.host.lock import locked
from galaxy.host.store import Store
from galaxy.release.aptstate import HELPER, AptState
from galaxy.release.http import pool_for
from galaxy.release.memory import recall, remember
from galaxy.release.model import SourceFile

_FETCH_TIMEOUT = 900.0
_GONE = (404, 410)


class GoneError(BuildError):
    """A file that an index names and the pool no longer has."""


def cached_file(store: Store, file: SourceFile) -> Path:
    """Where a fetched file is kept, whether it is there or not."""
    return store.sources / file.sha256 / file.name


def gone_files(state: AptState, files: Iterable[SourceFile]) -> frozenset[str]:
    """The digests of those files that their archive no longer delivers; asked once for each state of the indexes.

    What the store holds is not asked for. A server that doesn't answer is taken to have the file: fetching will tell.
    """
    memory = state.folder / "pool.json"
    digest = state.index_digest()
    known: dict[str, bool] = recall(memory, digest)
    wanted = [file for file in files if not cached_file(state.store, file).exists()]
    unknown = [file for file in wanted if file.sha256 not in known]
    if unknown:
        with ThreadPoolExecutor(max_workers=8) as workers:
            answers = list(workers.map(_is_gone, unknown))
        known |= {file.sha256: answer for file, answer in zip(unknown, answers, strict=True)}
        remember(memory, known, digest)
    return frozenset(file.sha256 for file in wanted if known[file.sha256])


def _is_gone(file: SourceFile) -> bool:
    parts = urlsplit(file.uri)
    if parts.scheme == "file":
        return not Path(unquote(parts.path)).exists()
    if parts.scheme not in ("http", "https"):
        return False
    try:
        answer = pool_for(file.uri).request(
            "HEAD", file.uri, retries=urllib3.Retry(1, redirect=3), timeout=8.0
        )
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status in _GONE


def fetch_file(state: AptState, file: SourceFile, entry: Entry) -> Path:
    """Fetch one file through apt's own transports (proxies, credentials) into the store; its digest must match.

    GoneError when the archive no longer has it, HostError when the mirror doesn't deliver.
    """
    target = cached_file(state.store, file)
    with locked(state.store, f"source-{file.sha256[:16]}", wait=_FETCH_TIMEOUT):
        if not target.exists() or sha256_file(target) != file.sha256:
            _fetch(state, file, entry, target)
    return target


def _fetch(state: AptState, file: SourceFile, entry: Entry, target: Path) -> None:
    require_space(state.store.sources, file.size + (1 << 26), f"fetching {file.name}")
    partial = state.store.sources / f".{file.sha256}.partial"
    with entry.temporarily("tree", partial):
        partial.mkdir(parents=True, exist_ok=True)
        try:
            download: list[str | Path] = [
                HELPER,
                "download-file",
                file.uri,
                partial / file.name,
                f"SHA256:{file.sha256}",
            ]
            state.run([*download, "-o", "APT::Sandbox::User=root"], timeout=_FETCH_TIMEOUT)
        except CommandError as error:
            raise _explained(error, file) from None
        if sha256_file(partial / file.name) != file.sha256:
            raise BuildError(
                f"{file.name} does not have the digest of the signed index", "Try again, or another mirror."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(partial / file.name, target)


def _explained(error: CommandError, file: SourceFile) -> BuildError | HostError:
    if " 404 " in error.output or " 410 " in error.output or "No such file" in error.output:
        return GoneError(
            f"{file.name} is in the index but gone from the archive's pool",
            "Choose another version: galaxy releases says which can be delivered.",
        )
    if "Hash Sum mismatch" in error.output or "unexpected size" in error.output:
        return BuildError(
            f"{file.name} from the mirror does not have the digest of the signed index",
            "Try again, or another mirror.",
        )
    reason = next(
        (line[2:].strip() for line in error.output.splitlines() if line.startswith("E:")), error.message
    )
    return HostError(
        f"the mirror did not deliver {file.name}: {reason}", "Check the network and the proxy; try again."
    )
