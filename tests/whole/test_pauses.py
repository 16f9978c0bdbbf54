"""Where the bot may not write it is quiet, who asks hears why, and whatever brings the permission back ends that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.playground.loopback.permissions import INVITED, Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, GUILD_ID, LINUS_ID
from tests.whole.stack import Stack, running

CANNED = "Hello from the scripted model."
SEND = int(Permission.SEND_MESSAGES)
REFUSED = {"message": "Missing Permissions", "code": 50013}


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


def refuse(stack: Stack) -> None:
    """Let Discord refuse what nothing that we know of forbids; Ada takes no direct messages."""
    stack.discord.inject(method="POST", route=f"/channels/{GENERAL_ID}/messages", status=403, body=REFUSED)
    dm = stack.world.open_dm(ADA_ID)["id"]
    closed = {"message": "Cannot send messages to this user", "code": 50007}
    stack.discord.inject(method="POST", route=f"/channels/{dm}/messages", status=403, body=closed, times=-1)


def own_role(stack: Stack) -> str:
    return next(each["id"] for each in stack.world.state.guild["roles"] if each.get("tags", {}).get("bot_id") == BOT_ID)


def told(stack: Stack, user: str = ADA_ID) -> list[str]:
    dm = stack.world.open_dm(user)["id"]
    return [message["content"] for message in stack.world.messages(dm, user) if message["author"]["id"] == BOT_ID]


def posts(stack: Stack) -> int:
    return sum(each.method == "POST" and each.path.endswith(f"{GENERAL_ID}/messages") for each in stack.discord.log)


def lose_everyones(stack: Stack) -> None:
    """@everyone may not write; nor may the bot's own role, for now."""
    stack.world.roles.edit(GUILD_ID, int(INVITED) & ~SEND)
    stack.world.roles.edit(own_role(stack), int(INVITED) & ~SEND)


def forbid_by_role(stack: Stack) -> str:
    role = stack.world.roles.create("muted", 0)["id"]
    stack.world.set_permissions(GENERAL_ID, role, deny=SEND)
    stack.world.roles.give(BOT_ID, role)
    return str(role)


WAYS: dict[str, tuple[Callable[[Stack], Any], Callable[[Stack, Any], Any]]] = {
    "the channel": (
        lambda s: s.world.deny(GENERAL_ID, BOT_ID, SEND),
        lambda s, _: s.world.set_permissions(GENERAL_ID, BOT_ID),
    ),
    "a role of its own": (lose_everyones, lambda s, _: s.world.roles.edit(own_role(s), int(INVITED))),
    "the role of all": (lose_everyones, lambda s, _: s.world.roles.edit(GUILD_ID, int(INVITED))),
    "a new role": (
        lose_everyones,
        lambda s, _: s.world.roles.give(BOT_ID, s.world.roles.create("writers", SEND)["id"]),
    ),
    "a role that is taken": (forbid_by_role, lambda s, role: s.world.roles.take(BOT_ID, role)),
    "a role that is deleted": (forbid_by_role, lambda s, role: s.world.roles.delete(role)),
}


@pytest.mark.parametrize(("lose", "regain"), WAYS.values(), ids=WAYS)
async def test_what_brings_the_permission_back_ends_the_pause(stack: Stack, lose: Any, regain: Any):
    what = lose(stack)
    stack.ask("Hello")
    await stack.until(lambda: len(told(stack)) == 1)
    assert "I may not send messages there" in told(stack)[0]
    assert posts(stack) == 0
    regain(stack, what)
    stack.ask("And now?")
    assert await stack.answered() == [CANNED]


def category(stack: Stack) -> tuple[str, dict[str, Any]]:
    return "CHANNEL_UPDATE", {"id": "4711", "type": 4, "guild_id": GUILD_ID, "name": "Talk", "position": 0}


EVENTS: dict[str, Callable[[Stack], tuple[str, dict[str, Any]]]] = {
    "a category": category,
    "its own member": lambda s: ("GUILD_MEMBER_UPDATE", {**s.world.state.members[BOT_ID], "guild_id": GUILD_ID}),
    "the server": lambda s: ("GUILD_UPDATE", s.world.state.guild),
    "a role": lambda s: ("GUILD_ROLE_UPDATE", {"guild_id": GUILD_ID, "role": s.world.state.guild["roles"][0]}),
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
async def test_a_refusal_that_nobody_could_foresee_is_tried_again_when_something_changes(stack: Stack, event: Any):
    stack.discord.dispatch("CHANNEL_CREATE", category(stack)[1])
    refuse(stack)
    stack.ask("Hello")
    assert stack.bot is not None
    await stack.until(lambda: stack.bot.pauses.is_paused(int(GENERAL_ID)))
    await stack.idle()
    stack.discord.dispatch(*event(stack))
    stack.ask("And now?")
    assert await stack.answered() == [CANNED]


async def test_during_a_pause_nothing_is_tried_and_each_person_hears_why_once(stack: Stack):
    refuse(stack)
    stack.ask("Hello")
    assert stack.bot is not None
    await stack.until(lambda: stack.bot.pauses.is_paused(int(GENERAL_ID)))
    await stack.idle()
    before, chats = posts(stack), len(stack.ollama.chats)
    for _ in range(3):
        stack.ask("And I?", user=LINUS_ID)
    await stack.until(lambda: told(stack, LINUS_ID))
    free = stack.world.create_channel("free")["id"]
    stack.ask("Elsewhere?", channel=free)
    assert await stack.answered(1, free) == [CANNED]
    assert len(told(stack, LINUS_ID)) == 1
    assert posts(stack) == before
    assert len(stack.ollama.chats) == chats + 1


async def test_after_a_pause_one_question_tries_and_its_answer_ends_the_pause(stack: Stack, monkeypatch):
    refuse(stack)
    stack.ask("Hello")
    assert stack.bot is not None
    pauses = stack.bot.pauses
    await stack.until(lambda: pauses.is_paused(int(GENERAL_ID)))
    await stack.idle()
    clock = pauses._clock
    monkeypatch.setattr(pauses, "_clock", lambda: clock() + 61)
    stack.ask("Now?")
    assert await stack.answered() == [CANNED]
    await stack.until(lambda: int(GENERAL_ID) not in pauses._until)
    stack.ask("And now?")
    assert await stack.answered(2) == [CANNED] * 2


async def test_a_sentence_is_not_posted_an_hour_later(stack: Stack, caplog):
    body = {"message": "slow", "retry_after": 3600.0, "global": False}
    fault = stack.discord.inject(method="POST", route=f"/channels/{GENERAL_ID}/messages", status=429, body=body)
    stack.ask("")
    await stack.until(lambda: "Could not answer message" in caplog.text)
    assert fault.hits == 1
