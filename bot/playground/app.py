"""``burble playground``: a loopback Discord, a model, the bot as a process of its own, and the web page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from bot.playground.claim import claimed
from bot.playground.loopback.discord import LoopbackDiscord
from bot.playground.loopback.limits import LimitSettings
from bot.playground.loopback.state import FORUM
from bot.playground.loopback.world import World
from bot.playground.page.control_panel import PlaygroundBackstage
from bot.playground.page.lag import LagMeter
from bot.playground.page.metrics import Meter
from bot.playground.page.ollama_proxy import OllamaProxy, model_server_url
from bot.playground.page.server import Page
from bot.playground.page.view import channel_name
from bot.playground.ports import DEFAULT_PORT, choose_port, port_refused
from bot.playground.standin.server import StandIn
from bot.playground.supervisor import BotProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bot.playground.loopback.limits import Kind

__all__ = ["PlaygroundOptions", "run_playground"]

_PROBE_SECONDS = 1.5
_OPENED_LATER_SECONDS = 0.3
_GRACE_SECONDS = 8.0  # the default of SHUTDOWN_GRACE_SECONDS
# What a bot on this machine may have in its environment must not lead the playground's bot elsewhere.
_FOREIGN = ("DATABASE_URL", "BURBLE_ENV_FILE", "DATA_DIR")


@dataclass(frozen=True, slots=True)
class PlaygroundOptions:
    """What ``burble playground`` was asked for.

    Attributes:
        port: of the page on 127.0.0.1; 0 takes any, None the first free one from 8765 on.
        data_dir: where channels and the bot's database are kept; nothing is written elsewhere.
        no_browser: only print the address.
        no_bot: run Discord alone and print what another bot needs to connect.
        stand_in: use the stand-in even if Ollama answers.
        speed: of the stand-in, in tokens per second.
        limiter: kind of the rate limits, ``fixed`` or ``leaky``.
        ollama_host: where to look for Ollama, in any form of ``OLLAMA_HOST``; None reads that variable.
        bot_command: what to run as the bot.
        bot_env: further environment for the bot.
    """

    port: int | None = None
    data_dir: Path = Path("data/playground")
    no_browser: bool = False
    no_bot: bool = False
    stand_in: bool = False
    speed: float = 40.0
    limiter: Kind = "fixed"
    ollama_host: str | None = None
    bot_command: Sequence[str] = (sys.executable, "-m", "bot", "run", "--stop-with-input")
    bot_env: Mapping[str, str] = field(default_factory=dict)


async def run_playground(options: PlaygroundOptions) -> int:
    """Run the playground until Ctrl-C or SIGTERM; return the exit code, 0 after a clean stop.

    Raises:
        PlaygroundError: the port or the data directory cannot be used.
    """
    stopping = asyncio.Event()
    async with open_playground(options) as playground:
        with _signals(stopping, playground.bot):
            _say(playground.greeting())
            opener = None if options.no_browser else asyncio.create_task(_open_browser(playground.url), name="browser")
            bot = asyncio.create_task(playground.bot.run(), name="bot") if playground.bot else None
            await stopping.wait()
            _say("Stopping …")
            if opener is not None:
                opener.cancel()
            if playground.bot is not None and bot is not None:
                playground.bot.stop()
                await bot
    return 0


@dataclass(slots=True)
class Playground:
    """A running playground.

    Attributes:
        world: its people and channels.
        discord: the loopback Discord.
        control_panel: what the page's side panel shows.
        bot: the bot's process (not yet started), or None.
        model_url: where a bot finds the model.
        took_next: whether the usual port was taken.
    """

    world: World
    discord: LoopbackDiscord
    control_panel: PlaygroundBackstage
    bot: BotProcess | None
    model_url: str
    took_next: bool

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.discord.port}/"

    def greeting(self) -> str:
        """Say where everything is."""
        lines = [f"Burble playground: {self.url}"]
        if self.took_next:
            lines.append(f"Port {DEFAULT_PORT} is taken, using {self.discord.port}.")
        lines.append(f"Model: {self.control_panel.model_note}")
        if self.bot is None:
            lines += [
                "No bot was started. To connect one, give it:",
                f"  DISCORD_API_URL={self.discord.api_url}",
                f"  DISCORD_TOKEN={self.discord.token}",
                f"  OLLAMA_HOST={self.model_url}",
            ]
        return "\n".join([*lines, "Press Ctrl-C to stop."])


@contextlib.asynccontextmanager
async def open_playground(options: PlaygroundOptions) -> AsyncIterator[Playground]:
    """Open everything but the bot's process, which the caller runs, and close it in order.

    Raises:
        PlaygroundError: the port or the data directory cannot be used.
    """
    data_dir = options.data_dir.resolve()
    async with contextlib.AsyncExitStack() as stack:
        claim = stack.enter_context(claimed(data_dir))
        world = World(data_path=data_dir / "world.json")
        if not any(channel["type"] == FORUM for channel in world.channels.values()):
            world.create_channel("help", is_forum=True)
        model = await _open_model(options, stack)
        limits = LimitSettings(kind=options.limiter)
        discord = LoopbackDiscord(world, limits=limits, port=choose_port(options.port))
        lag = LagMeter(lambda: model.proxy.streams)
        meter = Meter(discord, lag, lambda: model.proxy.tokens, time.monotonic, lambda each: channel_name(world, each))
        stack.callback(world.subscribe(_visible_text(world, lag)))
        control_panel = PlaygroundBackstage(world, limits, meter, model.stand_in, model.note, model.proxy)
        model.proxy.changed = control_panel.bot_changed
        if options.no_bot:
            control_panel.model_hint = (
                f"It answers your bot if that has OLLAMA_HOST={model.proxy.url} among its settings."
            )
        page = Page(world, control_panel)
        page.add_routes(discord.app)
        control_panel.changed = page.announce_status
        await _listen(discord, stack)
        claim.note(f"{discord.url}/")
        bot = None if options.no_bot else _bot(options, data_dir, discord, model, control_panel)
        control_panel.bot = bot
        stack.callback(world.subscribe(_presence(bot)))
        took_next = options.port is None and discord.port != DEFAULT_PORT
        yield Playground(world, discord, control_panel, bot, model.proxy.url, took_next)


async def _listen(discord: LoopbackDiscord, stack: contextlib.AsyncExitStack) -> None:
    wanted = discord.port
    try:
        await stack.enter_async_context(discord)
    except OSError as error:  # somebody took the port between our look and now
        raise port_refused(wanted, error) from error


@dataclass(slots=True)
class _Model:
    proxy: OllamaProxy
    stand_in: StandIn | None
    note: str


async def _open_model(options: PlaygroundOptions, stack: contextlib.AsyncExitStack) -> _Model:
    """Find Ollama or start the stand-in, and put the proxy in front of it."""
    url = model_server_url(options.ollama_host or os.environ.get("OLLAMA_HOST", ""))
    version = None if options.stand_in else await _ollama_version(url)
    if version is not None:
        proxy = await stack.enter_async_context(OllamaProxy(url))
        return _Model(proxy, None, f"Ollama {version} at {proxy.shown_upstream}")
    stand_in = await stack.enter_async_context(StandIn(speed=options.speed))
    proxy = await stack.enter_async_context(OllamaProxy(stand_in.url))
    reason = "As asked for," if options.stand_in else f"No Ollama answered at {OllamaProxy(url).shown_upstream}, so"
    return _Model(proxy, stand_in, f"{reason} a stand-in answers. It is not a model: say “help” to see what it shows.")


async def _ollama_version(url: str) -> str | None:
    """Return the version of the Ollama at *url*, or None if none answers there."""
    timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url}/api/version", allow_redirects=False) as response,
        ):
            body = await response.json(content_type=None) if response.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    return str(body["version"]) if isinstance(body, dict) and "version" in body else None


def _bot(
    options: PlaygroundOptions,
    data_dir: Path,
    discord: LoopbackDiscord,
    model: _Model,
    control_panel: PlaygroundBackstage,
) -> BotProcess:
    env = {key: value for key, value in os.environ.items() if not key.startswith("DISCORD_") and key not in _FOREIGN}
    if model.stand_in is not None:
        env = {key: value for key, value in env.items() if not key.startswith("OLLAMA_")}
    shown = model.proxy.url if model.stand_in else model.proxy.shown_upstream
    env |= {
        "DISCORD_TOKEN": discord.token,
        "DISCORD_API_URL": discord.api_url,
        "OLLAMA_HOST": model.proxy.url,
        "BURBLE_OLLAMA_SHOWN_AS": shown,  # in what the bot says, where the proxy has no place
        "DATA_DIR": str(data_dir / "bot"),
        "BURBLE_ENV_FILE": "",
        "PYTHONUNBUFFERED": "1",
    }
    env |= options.bot_env
    return BotProcess(options.bot_command, env, control_panel.bot_changed, grace=_grace(env))


def _grace(env: Mapping[str, str]) -> float:
    """Return how long the bot lets running replies go on when it is told to stop."""
    try:
        return max(0.0, float(env.get("SHUTDOWN_GRACE_SECONDS") or _GRACE_SECONDS))
    except ValueError:
        return _GRACE_SECONDS


def _visible_text(world: World, lag: LagMeter) -> Any:
    bot_id = world.bot_user["id"]

    def on_event(event: str, payload: dict[str, Any]) -> None:
        if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and payload["author"]["id"] == bot_id:
            lag.seen(payload, time.monotonic())

    return on_event


def _presence(bot: BotProcess | None) -> Any:
    def on_event(event: str, payload: dict[str, Any]) -> None:
        if event == "BOT_STATUS" and bot is not None:
            bot.connected(payload["online"])

    return on_event


@contextlib.contextmanager
def _signals(stopping: asyncio.Event, bot: BotProcess | None) -> Any:
    """Let the first Ctrl-C or SIGTERM set *stopping*, and the second end everything at once."""

    def on_signal() -> None:
        if stopping.is_set():
            if bot is not None:
                bot.kill()
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, on_signal)
    except NotImplementedError:  # Windows
        for number in numbers:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _open_browser(url: str) -> None:
    await asyncio.sleep(_OPENED_LATER_SECONDS)
    with contextlib.suppress(webbrowser.Error, OSError):
        await asyncio.to_thread(webbrowser.open, url)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
