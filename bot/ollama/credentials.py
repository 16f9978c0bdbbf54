"""The key or password for a model server: where it may go, and that no error shows it."""

from __future__ import annotations

import base64
import ipaddress
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from yarl import URL

from bot.errors import OllamaError

_log = logging.getLogger(__name__)

_MASK = "[secret]"


def authorization(address: URL, api_key: str | None) -> dict[str, str]:
    """Return the Authorization header: the key, else the URL's credentials, else none.

    A key belongs to whoever runs ollama.com or the proxy, and is kept back
    where it could be read on the way; a password in the URL was written for
    this very address, so it is sent, with a warning.
    """
    is_protected = address.scheme == "https" or _is_loopback(address.host or "")
    if api_key:
        if not (api_key.isascii() and api_key.isprintable()):
            # The value stays out of the message; a header cannot hold it.
            raise ValueError("the API key holds a line break or another character that no key has")
        if is_protected:
            return {"Authorization": f"Bearer {api_key}"}
        _log.warning(
            "The API key is not sent: %s is neither https nor loopback. Put https:// into OLLAMA_HOST",
            address.with_user(None),
        )
    if address.user is None:
        return {}
    if not is_protected:
        _log.warning("The password in OLLAMA_HOST goes to %s unencrypted; better use https", address.with_user(None))
    pair = f"{address.user}:{address.password or ''}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secrets_of(address: URL, api_key: str | None) -> Sequence[str]:
    """Return what no one but the server at *address* should read: the key, the password, both as they are sent."""
    pair = f"{address.user}:{address.password}".encode()
    held = (api_key, address.password, base64.b64encode(pair).decode() if address.password else None)
    return [secret for secret in held if secret]


@contextmanager
def concealing(secrets: Sequence[str]) -> Iterator[None]:
    """Take *secrets* out of a server's words in an error that passes: some proxies quote the key that they refuse.

    Such words are shown in the channel.
    """
    try:
        yield
    except OllamaError as error:
        for secret in secrets:
            error.detail = error.detail.replace(secret, _MASK)
            error.args = tuple(str(each).replace(secret, _MASK) for each in error.args)
        raise
