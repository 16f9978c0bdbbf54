"""Refuses what does not come from this machine's own pages and programs.

A server on the loopback can be reached by any web page that its user has open:
by requests from another origin, and by DNS rebinding, where a foreign name
resolves to 127.0.0.1. The Host, Origin and Sec-Fetch-Site headers tell.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_NAMES = ("127.0.0.1", "localhost", "[::1]")


def guard(port: Callable[[], int]) -> Middleware:
    """Return the middleware that answers 403 to foreign hosts and origins.

    Args:
        port: the server's own port, asked per request as it is known late.
    """

    @web.middleware
    async def refuse_foreign(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own(request, port()):
            return web.Response(status=403, text="Only this machine's own pages and programs may ask here.\n")
        return await handler(request)

    return refuse_foreign


def is_own(request: web.Request, port: int) -> bool:
    """Whether a request names this server and comes from its own pages or from no page at all."""
    hosts = {f"{name}:{port}" for name in _NAMES}
    if port == 80:
        hosts.update(_NAMES)
    if request.headers.get("Host", "").lower() not in hosts:
        return False
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return False
    if request.headers.get("Sec-Fetch-Site") not in {"cross-site", "same-site"}:
        return True
    # A link on a foreign page may be followed, as nothing of this one's can be read by that.
    return request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"
