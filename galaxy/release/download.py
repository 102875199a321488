"""Download over HTTP with resume: what has arrived is kept, and the next attempt asks for the rest."""

import os
from pathlib import Path

import urllib3

from galaxy.host.errors import BuildError, HostError
from galaxy.host.files import require_space
from galaxy.host.progress import Advance, bar
from galaxy.release.http import plain_reason, pool_for

_ATTEMPTS = 3
# What an interruption loses at most.
_BLOCK = 1 << 14
_RESUMED, _WHOLE, _NOTHING_LEFT = 206, 200, 416


def download(url: str, target: Path, *, connect: float = 10.0, read: float = 20.0) -> None:
    """Bring a URL's content to `target`, through `target`.partial, which an interrupted download leaves for the next.

    `connect` and `read` are seconds without an answer. BuildError when the server has no such file, HostError when
    it can't be reached or stops half-way three times.
    """
    partial = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    timeout = urllib3.Timeout(connect=connect, read=read)
    reason = ""
    with bar(f"downloading {target.name}") as advance:
        for _ in range(_ATTEMPTS):
            try:
                _continue(url, partial, timeout, advance)
            except urllib3.exceptions.HTTPError as error:
                reason = plain_reason(error)
            else:
                partial.replace(target)
                _tag(partial).unlink(missing_ok=True)
                return
    had = partial.stat().st_size if partial.exists() else 0
    raise HostError(
        f"{url} stopped answering after {had} bytes: {reason}"
        if had
        else f"{url} can't be reached: {reason}",
        "Check the network and the proxy; the next attempt continues where this one ended.",
    )


def _continue(url: str, partial: Path, timeout: urllib3.Timeout, advance: Advance) -> None:
    """One attempt; a tag beside the partial file ties the rest to the same content (RFC 9110, 13.1.5)."""
    tag = _tag(partial)
    had = partial.stat().st_size if partial.exists() and tag.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if had:
        headers |= {"Range": f"bytes={had}-", "If-Range": tag.read_text(encoding="utf-8")}
    answer = pool_for(url).request(
        "GET",
        url,
        headers=headers,
        timeout=timeout,
        retries=urllib3.Retry(0, redirect=3),
        preload_content=False,
    )
    try:
        if had and answer.status == _NOTHING_LEFT:
            partial.unlink()
            raise urllib3.exceptions.HTTPError("the file on the server has changed")
        _check_status(url, answer.status)
        had = had if answer.status == _RESUMED else 0
        _remember(tag, answer.headers.get("ETag") or answer.headers.get("Last-Modified"))
        _receive(answer, partial, had, advance)
    finally:
        answer.release_conn()
        answer.close()


def _tag(partial: Path) -> Path:
    return partial.with_name(partial.name + ".tag")


def _check_status(url: str, status: int) -> None:
    if status in (_RESUMED, _WHOLE):
        return
    if status in (404, 410):
        raise BuildError(f"{url} does not exist (HTTP {status})", "Check the version and the address.")
    raise urllib3.exceptions.HTTPError(f"the server answered {status}")


def _remember(tag: Path, value: str | None) -> None:
    """Weak tags can't be used to resume."""
    if value and not value.startswith("W/"):
        tag.write_text(value, encoding="utf-8")
    else:
        tag.unlink(missing_ok=True)


def _receive(answer: urllib3.BaseHTTPResponse, partial: Path, had: int, advance: Advance) -> None:
    length = int(answer.headers.get("Content-Length") or 0)
    require_space(partial.parent, length, f"downloading {partial.stem}")
    with partial.open("r+b" if had else "wb") as sink:
        sink.seek(had)
        for block in answer.stream(_BLOCK):
            sink.write(block)
            advance(sink.tell(), had + length)
        sink.flush()
        os.fsync(sink.fileno())
    if length and partial.stat().st_size != had + length:
        raise urllib3.exceptions.HTTPError(f"only {partial.stat().st_size} of {had + length} bytes came")
