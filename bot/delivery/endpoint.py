"""Which Discord this process talks to, and what can be asked of it before identifying."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

# GATEWAY_MESSAGE_CONTENT, and _LIMITED for applications that are not verified
# (https://discord.com/developers/docs/resources/application#application-object-application-flags).
_MESSAGE_CONTENT_FLAGS = 1 << 18 | 1 << 19
_ASK_TIMEOUT = aiohttp.ClientTimeout(total=20)


class DiscordUnreachable(Exception):
    """Discord did not answer, or not with what it should; worth another try."""


@dataclass(frozen=True, slots=True)
class Application:
    """What Discord says about the bot's application.

    Attributes:
        id: its id.
        name: its name.
        has_message_content: whether the message-content intent may be asked for.
    """

    id: int
    name: str
    has_message_content: bool


def use_api(url: str) -> None:
    """Send all requests of this process to *url* (``…/api/v10``).

    discord.py reads a class attribute for each request (discord/http.py,
    Route), so this is per process.
    """
    Route.BASE = url


def use_gateway(url: str) -> None:
    """Connect to *url* whenever discord.py falls back to its default gateway.

    It does so after an invalid session (discord/shard.py, Shard.reidentify),
    which would otherwise lead to the real Discord.
    """
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)


async def ask_application(token: str) -> Application:
    """Ask Discord who the token belongs to.

    Raises:
        discord.LoginFailure: the token is refused.
        DiscordUnreachable: no usable answer.
    """
    headers = {"Authorization": f"Bot {token}"}
    url = f"{Route.BASE}/oauth2/applications/@me"
    try:
        async with (
            aiohttp.ClientSession(timeout=_ASK_TIMEOUT) as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,  # the token goes nowhere else
        ):
            if answer.status == 401:
                raise discord.LoginFailure("Discord refused the token")
            if answer.status != 200:
                raise DiscordUnreachable(f"HTTP {answer.status} from {_address()}")
            data = await answer.json(content_type=None)
            granted = bool(int(data.get("flags") or 0) & _MESSAGE_CONTENT_FLAGS)
            return Application(int(data["id"]), str(data.get("name", "")), granted)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise DiscordUnreachable(_reason(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DiscordUnreachable(f"what answers at {_address()} is not Discord") from error


def _address() -> str:
    """Return where Discord is asked, with the setting that says so if it is not the usual place."""
    is_usual = yarl.URL(Route.BASE).host == "discord.com"
    return Route.BASE if is_usual else f"{Route.BASE}, which is what DISCORD_API_URL says"


def _reason(error: Exception) -> str:
    """Say why no answer came, and what to look at."""
    host = yarl.URL(Route.BASE).host
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {host} is not found (is the network up, and its DNS?)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {host}: {error.os_error.strerror or error.os_error}"
    if isinstance(error, TimeoutError):
        return f"{host} did not answer in {_ASK_TIMEOUT.total:.0f} s"
    return f"{type(error).__name__}: {error} ({_address()})"
