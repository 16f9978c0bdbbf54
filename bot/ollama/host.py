"""`OLLAMA_HOST`, read the way Ollama's own client reads it (``envconfig/config.go``, Host and ConnectableHost)."""

from __future__ import annotations

import ipaddress
import re

_DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
# What no URL can hold, or what would silently be read as something else.
_FORBIDDEN = re.compile(r"[\s\\?#<>\"^`{|}\x00-\x1f\x7f]")

_NAME = re.compile(r"\w[\w.-]*")


def parse_host(text: str | None) -> str:
    """Return the base URL to connect to for the value of `OLLAMA_HOST`, without a trailing slash.

    A bare host means plain HTTP on port 11434; with ``http://`` the port is 80,
    with ``https://`` 443. An address to listen on (``0.0.0.0``, ``::``) becomes
    loopback. A path is kept, and so are credentials for a proxy
    (``user:password@``).

    Raises:
        ValueError: if no server can be meant; the text says why, and quotes nothing.

    >>> parse_host(None)
    'http://127.0.0.1:11434'
    >>> parse_host("gpu-box")
    'http://gpu-box:11434'
    >>> parse_host("https://example.com/ollama/")
    'https://example.com:443/ollama'
    >>> parse_host("0.0.0.0:8080")
    'http://127.0.0.1:8080'
    """
    value = (text or "").strip().strip("\"'").strip()
    if value == "ollama.com":
        value = "https://ollama.com"
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    scheme = scheme.lower()
    if scheme not in _SCHEME_PORTS:
        raise ValueError("its scheme is neither http nor https")
    if _FORBIDDEN.search(rest):
        raise ValueError("it has a space, a query or another character that no address has")
    default_port = _SCHEME_PORTS[scheme] if separator else _DEFAULT_PORT
    authority, slash, path = rest.partition("/")
    credentials, at, hostport = authority.rpartition("@")
    if re.search(r"[\[\]@]", credentials):
        raise ValueError("its user or password has a character that must be written as % and two digits")
    host, port = _split_port(hostport, default_port)
    return f"{scheme}://{credentials}{at}{_connectable(host)}:{port}{slash}{path}".rstrip("/")


def _split_port(hostport: str, default: int) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 address may stand bare or in brackets."""
    if hostport.startswith("["):
        host, bracket, port = hostport[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or ":" not in host:
            raise ValueError("its brackets hold no IPv6 address")
        return host, _port(port.removeprefix(":"), default)
    if hostport.count(":") > 1:
        return hostport, default
    host, _, port = hostport.partition(":")
    return host, _port(port, default)


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= _MAX_PORT):
        raise ValueError(f"its port is not a number from 1 to {_MAX_PORT}")
    return int(text)


def _connectable(host: str) -> str:
    """Return *host* as it stands in a URL, an unspecified address as loopback."""
    if not host:
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if ":" in host:
            raise ValueError("its host is no IPv6 address") from None
        if not _NAME.fullmatch(host):
            raise ValueError("its host is no name") from None
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return str(address) if address.version == 4 else f"[{address}]"
