"""HTTP for what apt has no part in: connection pools that respect the host's proxy variables."""

import os
import re
from urllib.parse import unquote
from urllib.request import proxy_bypass

import urllib3
from urllib3.util import parse_url


def pool_for(url: str) -> urllib3.PoolManager:
    """A connection pool for a URL, through the proxy that the environment names for its scheme, if any.

    Raises urllib3's LocationParseError for an address that is none, the proxy's too.
    """
    parts = parse_url(url)
    scheme = parts.scheme or "http"
    proxy = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
    if proxy and not proxy_bypass((parts.host or "").strip("[]")):
        # urllib3 takes no user and password out of the address.
        user = parse_url(proxy).auth
        headers = urllib3.make_headers(proxy_basic_auth=unquote(user)) if user else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers)
    return urllib3.PoolManager()


def plain_reason(error: Exception) -> str:
    """Why a request failed, without urllib3's own objects and addresses in it."""
    found = getattr(error, "reason", None) or error
    # urllib3 tells a lost connection as ("Connection aborted.", what http.client said).
    last = found.args[-1] if isinstance(found, Exception) and found.args else found
    reason = str(last if isinstance(last, Exception) else found)
    return re.sub(r"^<?\w+\(.*?\)>?: ", "", reason)
