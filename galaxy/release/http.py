"""HTTP for what apt has no part in: connection pools that respect the host's proxy variables."""

import os
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import urllib3


class HttpError(Exception):
    """An answer that can't be used, in one line; callers make it a GalaxyError."""


def pool_for(url: str) -> urllib3.PoolManager:
    """A connection pool for a URL, through the proxy that the environment names for its scheme, if any."""
    parts = urlsplit(url)
    proxy = os.environ.get(f"{parts.scheme}_proxy") or os.environ.get(f"{parts.scheme.upper()}_PROXY")
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()
