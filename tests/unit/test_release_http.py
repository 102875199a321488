"""HTTP by the host's own proxies."""

import pytest
import urllib3

from galaxy.release.http import pool_for

URL = "https://download.example.test/x"
NO_ADDRESS = "https://[::1/x"


@pytest.fixture
def proxied(monkeypatch):
    """The pool for URL when the environment says so."""

    def ask(**environment):
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return pool_for(URL)

    return ask


def test_a_proxy_gets_the_user_and_password_of_its_address(proxied):
    pool = proxied(https_proxy="http://us%40er:pa%3Ass@proxy.example.test:3128")
    assert isinstance(pool, urllib3.ProxyManager)
    assert pool.proxy.host == "proxy.example.test"
    assert pool.proxy_headers == urllib3.make_headers(proxy_basic_auth="us@er:pa:ss")


def test_a_proxy_without_a_user_is_asked_without(proxied):
    pool = proxied(HTTPS_PROXY="http://proxy.example.test:3128")
    assert isinstance(pool, urllib3.ProxyManager)
    assert not pool.proxy_headers


@pytest.mark.parametrize(
    "environment", [{}, {"https_proxy": "http://proxy.test", "no_proxy": "example.test"}]
)
def test_without_a_proxy_the_server_itself_is_asked(proxied, environment):
    assert not isinstance(proxied(**environment), urllib3.ProxyManager)


def test_an_address_that_is_none_is_said_as_other_failures_are(proxied):
    with pytest.raises(urllib3.exceptions.HTTPError):
        pool_for(NO_ADDRESS)
    with pytest.raises(urllib3.exceptions.HTTPError):
        proxied(https_proxy=NO_ADDRESS)
