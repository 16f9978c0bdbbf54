"""What the page can ask for: one function per action, all with the same signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bot.playground.loopback.errors import WorldError
from bot.playground.page.view import history, snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.playground.loopback.world import World

__all__ = ["ControlPanel", "error_body", "perform", "speaker"]


class ControlPanel(Protocol):
    """What runs behind the page, as its side panel sees it."""

    def status(self) -> dict[str, Any]:
        """Return ``bot`` {state, detail, log, managed}, ``model`` {stand_in, note, speed} and ``limiter`` {kind}."""

    def metrics(self) -> dict[str, Any]:
        """Return edits, requests and lag as `bot.playground.page.metrics` counts them."""

    def restart_bot(self) -> None:
        """Stop the bot's process and start it anew; returns at once."""

    def set_speed(self, tokens_per_second: float) -> None:
        """Set the speed of the stand-in."""

    def set_limiter(self, kind: str) -> None:
        """Choose ``fixed`` or ``leaky`` rate limits."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request of a tab: who asks, and for what."""

    world: World
    control_panel: ControlPanel
    viewer: str
    args: dict[str, Any]

    @property
    def channel(self) -> str:
        return str(self.args["channel_id"])

    @property
    def message(self) -> str:
        return str(self.args["message_id"])


async def perform(world: World, control_panel: ControlPanel, viewer: str, action: str, args: dict[str, Any]) -> Any:
    """Do *action* as *viewer* and return its result, which is JSON.

    Raises:
        WorldError: the loopback Discord refuses it, or there is no such action.
    """
    run = _ACTIONS.get(action)
    if run is None or not viewer:
        raise WorldError(400, 0, "That is not something the page can ask for.")
    return await run(_Ask(world, control_panel, viewer, args))


def speaker(world: World, wanted: Any) -> str:
    """Return the id of the person to speak as: *wanted* if there is such one, else the first."""
    ids = [str(person["id"]) for person in world.people]
    return wanted if wanted in ids else ids[0]


def error_body(error: WorldError) -> dict[str, Any]:
    """Return a refusal for the page, with the reason behind "Invalid Form Body" in words."""
    return {"status": error.status, "code": error.code, "message": _reason(error.errors) or error.message}


def _reason(tree: Any) -> str:
    if not isinstance(tree, dict):
        return ""
    found = tree.get("_errors")
    if found:
        return str(found[0].get("message", ""))
    return next((reason for branch in tree.values() if (reason := _reason(branch))), "")


async def _view(ask: _Ask) -> Any:
    return snapshot(ask.world, ask.viewer) | {"status": ask.control_panel.status()}


async def _history(ask: _Ask) -> Any:
    return history(ask.world, ask.viewer, ask.channel)


async def _commands(ask: _Ask) -> Any:
    return ask.world.usable_commands(ask.viewer, ask.channel)


async def _send(ask: _Ask) -> Any:
    content = str(ask.args["content"])
    reply_to, ping = ask.args.get("reply_to"), bool(ask.args.get("ping_reply", True))
    return ask.world.send(ask.viewer, ask.channel, content, reply_to=reply_to, ping_reply=ping)


async def _forward(ask: _Ask) -> Any:
    return ask.world.forward(ask.viewer, str(ask.args["to"]), ask.channel, ask.message)


async def _edit(ask: _Ask) -> Any:
    return ask.world.edit(ask.viewer, ask.channel, ask.message, str(ask.args["content"]))


async def _delete(ask: _Ask) -> Any:
    return ask.world.delete(ask.viewer, ask.channel, ask.message)


async def _react(ask: _Ask) -> Any:
    return ask.world.react(ask.viewer, ask.channel, ask.message, str(ask.args["emoji"]))


async def _unreact(ask: _Ask) -> Any:
    return ask.world.unreact(ask.viewer, ask.channel, ask.message, str(ask.args["emoji"]))


async def _typing(ask: _Ask) -> Any:
    return ask.world.typing(ask.viewer, ask.channel)


async def _thread(ask: _Ask) -> Any:
    name, on = str(ask.args["name"]), ask.args.get("message_id")
    return ask.world.create_thread(ask.viewer, ask.channel, name, message_id=on)


async def _post(ask: _Ask) -> Any:
    return ask.world.create_post(ask.viewer, ask.channel, str(ask.args["name"]), str(ask.args["content"]))


async def _command(ask: _Ask) -> Any:
    path, options = [str(name) for name in ask.args["path"]], dict(ask.args.get("options") or {})
    return {"id": ask.world.run_command(ask.viewer, ask.channel, path, options).id}


async def _autocomplete(ask: _Ask) -> Any:
    path, options = [str(name) for name in ask.args["path"]], dict(ask.args.get("options") or {})
    focused = str(ask.args["focused"])
    # Discord's client sends the focused option even while nothing is typed.
    options.setdefault(focused, "")
    return await ask.world.autocomplete(ask.viewer, ask.channel, path, options, focused)


async def _menu(ask: _Ask) -> Any:
    target = str(ask.args["target_id"])
    return {"id": ask.world.run_context_menu(ask.viewer, ask.channel, str(ask.args["name"]), target).id}


async def _click(ask: _Ask) -> Any:
    custom_id, values = str(ask.args["custom_id"]), [str(value) for value in ask.args.get("values") or ()]
    return {"id": ask.world.click(ask.viewer, ask.channel, ask.message, custom_id, values).id}


async def _modal(ask: _Ask) -> Any:
    return {"id": ask.world.submit_modal(ask.viewer, str(ask.args["id"]), dict(ask.args["values"])).id}


async def _restart(ask: _Ask) -> Any:
    ask.control_panel.restart_bot()


async def _speed(ask: _Ask) -> Any:
    ask.control_panel.set_speed(float(ask.args["tokens_per_second"]))


async def _limiter(ask: _Ask) -> Any:
    ask.control_panel.set_limiter(str(ask.args["kind"]))


_ACTIONS: dict[str, Callable[[_Ask], Awaitable[Any]]] = {
    "view": _view,
    "history": _history,
    "commands": _commands,
    "send": _send,
    "forward": _forward,
    "edit": _edit,
    "delete": _delete,
    "react": _react,
    "unreact": _unreact,
    "typing": _typing,
    "thread": _thread,
    "post": _post,
    "command": _command,
    "autocomplete": _autocomplete,
    "menu": _menu,
    "click": _click,
    "modal": _modal,
    "restart": _restart,
    "speed": _speed,
    "limiter": _limiter,
}
