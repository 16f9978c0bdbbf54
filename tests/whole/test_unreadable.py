"""One unreadable thing costs that thing alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.intake.history import read_history
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID, LINUS_ID
from tests.whole.stack import Stack, running, servers

CANNED = "Hello from the scripted model."
SPOILS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no content": lambda raw: {key: value for key, value in raw.items() if key != "content"},
    "no author": lambda raw: {key: value for key, value in raw.items() if key != "author"},
    "an attachment of nothing": lambda raw: raw | {"attachments": [{}]},
    "a reference without a channel": lambda raw: raw | {"message_reference": {"message_id": "1"}},
    "components that are none": lambda raw: raw | {"components": 7},
    "no more than an id": lambda raw: {"id": raw["id"]},
}


def spoil(stack: Stack, monkeypatch: pytest.MonkeyPatch, bad: str, how: Callable[..., dict[str, Any]]) -> None:
    """Have one message come unreadable whenever messages are listed."""
    messages = stack.world.message_rules
    history = messages.history

    def spoilt(*args: Any, **options: Any) -> list[dict[str, Any]]:
        return [how(raw) if raw["id"] == bad else raw for raw in history(*args, **options)]

    monkeypatch.setattr(messages, "history", spoilt)


@pytest.mark.parametrize("how", SPOILS.values(), ids=SPOILS)
async def test_one_message_of_a_channels_history_costs_no_other(tmp_path: Path, monkeypatch, caplog, how: Any):
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            await stack.until(lambda: bot.is_ready() and bot.services.seen._lost_at is None)
        stack.ask("The first")
        bad = stack.ask("The unreadable", user=LINUS_ID)
        stack.ask("The last")
        spoil(stack, monkeypatch, bad["id"], how)
        async with stack.running_bot():
            await stack.answered(2)
            await stack.until(lambda: len(stack.ollama.chats) == 2)
        asked = " ".join(chat.json["messages"][-1]["content"] for chat in stack.ollama.chats)
        assert "The first" in asked
        assert "The last" in asked
        assert f"Message {bad['id']} in channel" in caplog.text
        assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 300])
async def test_a_long_history_is_read_as_discord_py_reads_it(tmp_path: Path, count: int):
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        said = [int(stack.say(f"{number}")["id"]) for number in range(count)]
        channel = stack.bot.get_channel(int(GENERAL_ID))
        assert isinstance(channel, discord.TextChannel)
        for limit in (1, 100, 220):
            after = await read_history(channel, after=0, limit=limit)
            assert [each.id for each in after.messages] == said[:limit]
            before = await read_history(channel, before=(said or [1])[-1] + 1, limit=limit)
            assert [each.id for each in before.messages] == said[-limit:]


def relayed(stack: Stack, change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    """Let events come changed from now on."""
    told = stack.discord.gateway._on_event
    stack.discord.gateway._unsubscribe()
    stack.world.subscribe(lambda event, payload: told(event, change(event, payload)))


@pytest.mark.parametrize("where", ["server", "direct"])
async def test_fields_that_are_null_cost_no_answer(tmp_path: Path, where: str):
    async with running(tmp_path) as stack:
        stack.world.state.is_sparse = True
        channel = GENERAL_ID if where == "server" else stack.world.open_dm(ADA_ID)["id"]
        stack.ask("Hello", channel=channel)
        assert await stack.answered(1, channel) == [CANNED]


def seen(stack: Stack, channel: str) -> list[str]:
    return [message["content"] for message in stack.world.messages(channel, ADA_ID)]


COMMANDS = [
    ("ask", {"prompt": "What?"}, CANNED),
    ("help", {}, "Mention me"),
    ("stop", {}, "Nothing is running"),
    ("reset", {}, "new conversation"),
]


@pytest.mark.parametrize("where", ["server", "direct", "thread"])
@pytest.mark.parametrize("how", ["missing", "null"])
async def test_a_command_without_a_channel_is_answered(tmp_path: Path, where: str, how: str):
    async with running(tmp_path) as stack:
        await stack.until(lambda: stack.world.commands)

        def bare(event: str, payload: dict[str, Any]) -> dict[str, Any]:
            if event != "INTERACTION_CREATE":
                return payload
            left = {key: value for key, value in payload.items() if key != "channel"}
            return left if how == "missing" else left | {"channel": None, "guild_id": payload.get("guild_id")}

        relayed(stack, bare)
        channel = GENERAL_ID
        if where == "direct":
            channel = stack.world.open_dm(ADA_ID)["id"]
        elif where == "thread":
            channel = stack.world.create_thread(ADA_ID, GENERAL_ID, "aside")["id"]
        for command, options, words in COMMANDS:
            stack.world.run_command(ADA_ID, channel, [command], options)
            await stack.until(lambda words=words: words in " ".join(seen(stack, channel)))
            await stack.idle()


async def test_a_channel_without_a_position_is_changed_all_the_same(tmp_path: Path):
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        stack.world.state.is_sparse = True
        stack.world.deny(GENERAL_ID, stack.world.bot_user["id"], int(Permission.SEND_MESSAGES))
        await stack.until(lambda: not stack.bot.permissions_at(int(GENERAL_ID)).send_messages)
