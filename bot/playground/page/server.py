"""The playground's web page: its files, and the WebSocket over which it acts and hears.

One socket per open tab. The tab asks (``{"id", "do", "args"}``) and gets one
answer each (``{"re", "ok"}`` or ``{"re", "error"}``); events (``{"event",
"data"}``) come by themselves, filtered to what the person who speaks may see.
That only this page opens it is seen to by `bot.playground.loopback.hosts`: browsers apply
no same-origin rule to WebSockets.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web

from bot.playground.loopback.errors import WorldError
from bot.playground.page import actions as page_actions
from bot.playground.page.view import seen_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.playground.loopback.world import World
    from bot.playground.page.actions import ControlPanel

__all__ = ["Page"]

_log = logging.getLogger(__name__)

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_METRICS_SECONDS = 0.5
# A tab that reads nothing for so long is closed and loads afresh when it wakes.
_LONGEST_BACKLOG = 4000
_LONGEST_FRAME = 256 * 1024
_STOPPED = "stopped"  # static/connection.js knows it

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://{host}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)


class Page:
    """Serves the page to any number of tabs.

    Args:
        world: what the tabs show and act on.
        control_panel: what the side panel shows and switches.
    """

    def __init__(self, world: World, control_panel: ControlPanel) -> None:
        self.world = world
        self.control_panel = control_panel
        self._tabs: set[_Tab] = set()
        self._files = _load_files()
        self._unsubscribe = world.subscribe(self._on_event)
        self._ticker: asyncio.Task[None] | None = None

    def add_routes(self, app: web.Application) -> None:
        """Add the page to *app*, before it starts."""
        app.router.add_get("/", self._index)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/page/ws", self._socket)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._close)

    def announce_status(self) -> None:
        """Tell every tab what the control_panel is doing now."""
        self._broadcast("STATUS", self.control_panel.status())

    async def _start(self, _: web.Application) -> None:
        self._ticker = asyncio.create_task(self._tick(), name="page-metrics")

    async def _close(self, _: web.Application) -> None:
        self._unsubscribe()
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await asyncio.gather(*(tab.close(_STOPPED) for tab in tuple(self._tabs)))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_METRICS_SECONDS)
            if self._tabs:
                self._broadcast("METRICS", self.control_panel.metrics())

    async def _index(self, request: web.Request) -> web.Response:
        return self._file("index.html", request)

    async def _static(self, request: web.Request) -> web.Response:
        return self._file(request.match_info["name"], request)

    def _file(self, name: str, request: web.Request) -> web.Response:
        try:
            body, content_type = self._files[name]
        except KeyError:
            raise web.HTTPNotFound from None
        headers = {
            "Content-Security-Policy": _POLICY.format(host=request.host),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=_LONGEST_FRAME, heartbeat=30)
        await socket.prepare(request)
        tab = _Tab(self, socket)
        self._tabs.add(tab)
        try:
            await tab.run()
        finally:
            self._tabs.discard(tab)
        return socket

    def _on_event(self, event: str, payload: dict[str, Any]) -> None:
        if event == "BOT_STATUS":
            self.announce_status()
            return
        for tab in tuple(self._tabs):
            shown = seen_by(self.world, tab.viewer, event, payload) if tab.viewer else None
            if shown is not None:
                tab.push({"event": shown[0], "data": shown[1]})

    def _broadcast(self, event: str, data: Mapping[str, Any]) -> None:
        for tab in tuple(self._tabs):
            tab.push({"event": event, "data": data})


class _Tab:
    """One open tab: reads what it asks, writes what it hears, in order."""

    def __init__(self, page: Page, socket: web.WebSocketResponse) -> None:
        self.viewer = ""
        self._page = page
        self._socket = socket
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_LONGEST_BACKLOG)
        self._asked: set[asyncio.Task[None]] = set()

    def push(self, frame: dict[str, Any]) -> None:
        """Send *frame* as soon as what came before it is sent."""
        try:
            self._outbox.put_nowait(frame)
        except asyncio.QueueFull:
            self._page._tabs.discard(self)  # noqa: SLF001 - the two are one thing in two parts
            self._asked.add(task := asyncio.create_task(self.close(), name="page-tab-close"))
            task.add_done_callback(self._asked.discard)

    async def run(self) -> None:
        """Serve the tab until it closes."""
        writer = asyncio.create_task(self._write(), name="page-tab-writer")
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    # Each on its own: an autocomplete may wait three seconds, a click must not wait for it.
                    self._asked.add(task := asyncio.create_task(self._answer(message.data), name="page-request"))
                    task.add_done_callback(self._asked.discard)
        finally:
            for task in (writer, *self._asked):
                task.cancel()
            await asyncio.gather(writer, *self._asked, return_exceptions=True)

    async def close(self, reason: str = "going away") -> None:
        """Close the tab's socket; the tab opens another when it can."""
        await self._socket.close(code=1001, message=reason.encode())

    async def _write(self) -> None:
        while True:
            frame = await self._outbox.get()
            try:
                await self._socket.send_str(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))
            except ConnectionError:
                return

    async def _answer(self, text: str) -> None:
        try:
            frame = json.loads(text)
            number, action, args = frame["id"], frame["do"], frame.get("args") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        try:
            if action == "view":
                self.viewer = page_actions.speaker(self._page.world, args.get("user_id"))
            result = await page_actions.perform(self._page.world, self._page.control_panel, self.viewer, action, args)
            self.push({"re": number, "ok": result})
        except WorldError as error:
            self.push({"re": number, "error": page_actions.error_body(error)})
        except (KeyError, TypeError, ValueError, AttributeError):
            _log.warning("The page asked for %r in a way that makes no sense", action, exc_info=True)
            self.push({"re": number, "error": {"status": 400, "code": 0, "message": "That request makes no sense."}})


def _load_files() -> dict[str, tuple[bytes, str]]:
    """Read the page into memory: nothing but these names can ever be asked for."""
    folder = resources.files("bot.playground.page") / "static"
    files = {}
    for entry in folder.iterdir():
        content_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if content_type:
            files[entry.name] = (entry.read_bytes(), content_type)
    return files
