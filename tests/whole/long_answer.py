"""One long answer that goes through every call of a reply, what may strike it, and looking at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bot.conversation.records import ReplyState
from bot.playground.loopback.limits import refusal
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID
from tests.scripted_ollama import hold, say
from tests.whole.stack import Stack

FIRST, SECOND, END = "The first words of the answer.", " And a second part.", " Here it ends."
LONG = "".join(f" word{i}" for i in range(330))
WHOLE = FIRST + SECOND + LONG + END
HTML = "<html><body>error code: 1015</body></html>"


def limited(scope: str = "user", code: int = 0, **changes: Any) -> dict[str, Any]:
    decision = refusal(0.06, scope=scope, code=code)
    return {"status": 429, "body": decision.body, "headers": decision.headers} | changes


SUB_LIMIT = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "3", "X-RateLimit-Reset-After": "0.1"}
PASSING: dict[str, dict[str, Any]] = {
    "400": {"status": 400},
    "403-of-a-proxy": {"status": 403, "body": HTML, "via": False},
    "404-of-a-proxy": {"status": 404, "body": HTML, "via": False},
    "408": {"status": 408},
    "429-user": limited(),
    "429-shared": limited("shared"),
    "429-global": limited("global"),
    "429-sub-limit": limited(headers=SUB_LIMIT | {"Retry-After": "1", "X-RateLimit-Scope": "user"}),
    "429-without-via": limited(via=False),
    "429-global-without-via": limited("global", via=False),
    "429-without-headers": limited(headers={}),
    "429-html": {"status": 429, "body": HTML, "via": False, "headers": {"Retry-After": "0.06"}},
    "429-html-with-via": {"status": 429, "body": HTML, "headers": {"Retry-After": "0.06"}},
    "429-old-message-30046": limited(code=30046),
    "429-channel-20028": limited("shared", 20028),
    "500": {"status": 500},
    "502": {"status": 502, "body": HTML, "via": False},
    "503": {"status": 503},
    "504": {"status": 504},
    "500-applied": {"status": 500, "after": True},
    "502-applied": {"status": 502, "after": True, "body": HTML},
    "nonsense": {"status": 200, "body": {"ok": True}},
    "not-json": {"status": 200, "body": HTML},
    "timeout": {"hang": True},
    "timeout-applied": {"hang": True, "after": True},
    "reset": {"reset": True},
    "reset-applied": {"reset": True, "after": True},
}


class Answer:
    """One long answer: a first message, an edit, an overflow, a last edit."""

    def __init__(self, stack: Stack, channel: str) -> None:
        self.stack = stack
        self.channel = channel
        self.steps = [asyncio.Event() for _ in range(3)]

    def script(self) -> list[Any]:
        first, second, third = self.steps
        return [*say(FIRST), hold(first), *say(SECOND), hold(second), *say(LONG), hold(third), *say(END)]

    async def go(self, before: Callable[[int], None] = lambda _: None) -> None:
        """Let it come part by part; *before* is told which comes next."""
        parts = ("first words", "second part", "word329", "it ends")
        for number, words in enumerate(parts):
            before(number)
            if number:
                self.steps[number - 1].set()
            await self.stack.shows(words, self.channel)
            if not number:
                await self.stack.until(self._control_was_tried)
        await self.stack.idle(self.channel)

    def _control_was_tried(self) -> bool:
        discord = self.stack.discord
        seen = [*discord.log, *discord.pending]
        return any(record.method == "PUT" and record.channel_id == self.channel for record in seen)


CALLS: dict[str, tuple[str, str, int]] = {  # method, route in the channel, before which part
    "first": ("POST", "/messages", 0),
    "edit": ("PATCH", "/messages/*", 1),
    "page": ("PATCH", "/messages/*", 2),
    "overflow": ("POST", "/messages", 2),
    "final": ("PATCH", "/messages/*", 3),
    "reaction": ("PUT", "/messages/*/reactions/*", 0),
    "unreaction": ("DELETE", "/messages/*/reactions/*", 0),
    "typing": ("POST", "/typing", 0),
}


async def growing(stack: Stack, channel: str = GENERAL_ID, **options: Any) -> Answer:
    """An answer of which the first words are on screen."""
    each = Answer(stack, channel)
    stack.ollama.enqueue(each.script())
    stack.ask("Tell me", channel=channel, **options)
    await stack.shows("first words", channel)
    return each


def direct(stack: Stack, user: str = ADA_ID) -> list[str]:
    """What the bot's direct messages to somebody show."""
    return [message["content"] for message in stack.world.messages(stack.world.open_dm(user)["id"], user)]


def squeezed(text: str) -> str:
    return "".join(text.split())


def controls(stack: Stack, channel: str) -> int:
    """How many of the bot's own reactions are left."""
    return sum(BOT_ID in r["user_ids"] for message in stack.replies(channel) for r in message.get("reactions", []))


async def recorded(stack: Stack, channel: str, state: ReplyState, text: str) -> None:
    """Check the newest reply's row."""
    [turn] = await stack.services.store.history(int(channel))
    assert turn.reply == text
    owner = await stack.services.store.reply_by_message(int(stack.replies(channel)[0]["id"]))
    assert owner is not None
    assert owner.state is state


def nothing_left_running() -> None:
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert not [name for name in names if name.startswith(("reply-writer", "close-", "typing", "stop-control"))]
