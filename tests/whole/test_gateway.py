"""The gateway comes and goes: each prompt is answered, and once."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from pathlib import Path

import discord
import pytest
from discord.gateway import KeepAliveHandler

from bot import silent_shards
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.rest_basics import Basics
from bot.playground.loopback.seed import BOT_ID, CODE_ID, GENERAL_ID, GUILD_ID, LINUS_ID
from tests.scripted_ollama import hang, hold, say
from tests.whole.stack import CURSOR, Stack, running, servers

CANNED = "Hello from the scripted model."


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


async def resumed(stack: Stack, count: int = 1) -> None:
    await stack.until(lambda: stack.discord.gateway.resumed >= count and stack.discord.bot_online)


async def identified(stack: Stack, count: int = 2) -> None:
    await stack.until(lambda: stack.discord.gateway.identified >= count and stack.discord.bot_online, seconds=20)


def chats_about(stack: Stack, words: str) -> int:
    return sum(words in chat.json["messages"][-1]["content"] for chat in stack.ollama.chats)


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4003, 4005, 4008, 1000, 1001, 1006])
async def test_after_a_close_the_session_is_resumed_and_nothing_missed(stack: Stack, code: int):
    if code == 1006:
        stack.discord.drop_gateway()
    else:
        await stack.discord.close_gateway(code)
    await stack.until(lambda: not stack.discord.bot_online)
    stack.ask("Missed?")
    await resumed(stack)
    assert await stack.answered() == [CANNED]
    assert stack.discord.gateway.identified == 1


async def test_a_requested_reconnect_loses_nothing(stack: Stack):
    stack.discord.request_reconnect()
    stack.ask("During the reconnect")
    await resumed(stack)
    assert await stack.answered() == [CANNED]


async def test_an_answer_goes_on_while_the_gateway_is_away(stack: Stack):
    more = asyncio.Event()
    stack.ollama.enqueue([*say("It begins"), hold(more), *say(" and ends.")])
    stack.ask("Go")
    await stack.shows("It begins")
    stack.discord.drop_gateway()
    more.set()
    assert await stack.answered() == ["It begins and ends."]
    await resumed(stack)


async def test_a_session_that_can_be_resumed_after_all_is(stack: Stack):
    stack.discord.invalidate_session(resumable=True)
    await resumed(stack)
    stack.ask("Hello")
    assert await stack.answered() == [CANNED]
    assert not bringing_back(), "nothing waits any more for what has come back"


def bringing_back() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("watch-shard")]


def heartbeats() -> list[threading.Thread]:
    threads = [thread for thread in threading.enumerate() if isinstance(thread, KeepAliveHandler)]
    return [thread for thread in threads if not thread._stop_ev.is_set()]


def silence(stack: Stack, monkeypatch: pytest.MonkeyPatch, *, patience: float) -> list[float]:
    """Let no session be resumed, and bring shards back after *patience* seconds; return when each identifies."""
    identifies: list[float] = []

    async def at_once(*_: object, **__: object) -> None:
        identifies.append(time.monotonic())

    monkeypatch.setattr(silent_shards, "_SILENT_SECONDS", patience)
    monkeypatch.setattr(stack.discord.gateway, "_resume", lambda *_: None)
    monkeypatch.setattr(discord.Client, "before_identify_hook", at_once)
    return identifies


async def test_a_session_that_is_never_resumed_is_begun_anew(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    silence(stack, monkeypatch, patience=0.2)
    stack.ask("Before")
    await stack.answered(1)
    stack.discord.drop_gateway()
    await stack.until(lambda: not stack.discord.bot_online)
    stack.ask("Deaf?")
    assert await stack.answered(2) == [CANNED, CANNED]
    assert stack.discord.gateway.identified == 2


async def test_a_gateway_that_stays_silent_is_tried_less_and_less_often(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    """Discord resets the token of a bot that identifies 1000 times in a day."""
    patience = 0.004
    identifies = silence(stack, monkeypatch, patience=patience)
    monkeypatch.setattr(stack.discord.gateway, "_open", lambda _: None)
    stack.discord.drop_gateway()
    await stack.until(lambda: len(identifies) == 4)
    waits = [later - sooner for sooner, later in pairwise(identifies)]
    assert all(wait >= 2 * patience * factor for wait, factor in zip(waits, (2, 4, 8), strict=True))


async def test_a_connection_that_was_just_made_is_given_its_time(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    identifies = silence(stack, monkeypatch, patience=0.02)
    assert stack.bot is not None
    for _ in range(20):  # never so long without a loss
        await stack.bot.silent_shards.on_shard_disconnect(0)
        await asyncio.sleep(0.01)
    assert identifies == []


async def test_a_bot_that_is_closed_does_not_go_on_bringing_shards_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with servers(tmp_path) as stack, stack.running_bot():
        silence(stack, monkeypatch, patience=0.01)
        begun = asyncio.Event()

        async def hang(*_: object, **__: object) -> None:
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(discord.Client, "before_identify_hook", hang)
        stack.discord.drop_gateway()
        await begun.wait()
    assert not bringing_back()
    assert not heartbeats()


async def test_shards_are_brought_back_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Discord takes in one shard in five seconds."""
    under_way = most = 0

    async def hook(*_: object, **__: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1

    monkeypatch.setattr("bot.playground.loopback.discord.Basics", lambda world, url, _: Basics(world, url, 3))
    monkeypatch.setattr(discord.Client, "before_identify_hook", hook)
    async with running(tmp_path) as stack:
        silence(stack, monkeypatch, patience=0.1)
        monkeypatch.setattr(discord.Client, "before_identify_hook", hook)
        stack.discord.drop_gateway()
        await stack.until(lambda: stack.discord.gateway.identified >= 6)
    assert most == 1


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_new_session_stays_at_our_gateway_and_looks_back_where_people_talked(stack: Stack):
    stack.ask("Before")
    await stack.answered(1)
    stack.discord.invalidate_session(resumable=False)
    await stack.until(lambda: not stack.discord.bot_online)
    stack.say("nobody in particular")
    stack.ask("While it was away")
    await identified(stack)  # reaching for the real Discord would fail the test
    stack.ask("Before it looked back")
    texts = await stack.answered(3)
    assert texts == [CANNED] * 3
    await asyncio.sleep(0.1)
    await stack.idle()
    assert len(stack.ollama.chats) == 3
    assert chats_about(stack, "While it was away") == 1


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_what_is_missed_is_left_alone_where_it_cannot_be_read(stack: Stack, caplog):
    stack.ask("Before")
    await stack.answered(1)
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.VIEW_CHANNEL))
    stack.discord.invalidate_session(resumable=False)
    await identified(stack)
    stack.ask("Elsewhere", channel=CODE_ID)
    assert await stack.answered(1, CODE_ID) == [CANNED]


async def test_a_connection_that_plays_dead_is_left(tmp_path: Path, monkeypatch):
    async with servers(tmp_path) as stack:
        monkeypatch.setattr(stack.discord.gateway, "_heartbeat_seconds", 0.1)
        async with stack.running_bot() as bot:
            keep_alive = bot.shards[0]._parent.ws._keep_alive
            assert keep_alive is not None
            stack.discord.zombie()
            stack.ask("Anybody there?")
            monkeypatch.setattr(keep_alive, "heartbeat_timeout", 0.2)
            await stack.until(lambda: not stack.discord.bot_online)
            stack.discord.zombie(False)
            assert await stack.answered() == [CANNED]
            assert stack.discord.gateway.resumed == 1


POISON = [
    ("MESSAGE_CREATE", {"id": "1", "channel_id": GENERAL_ID}),
    ("MESSAGE_CREATE", {"id": "nonsense", "channel_id": GENERAL_ID, "content": "x", "author": {}}),
    ("MESSAGE_CREATE", {}),
    ("MESSAGE_UPDATE", {"id": "12"}),
    ("MESSAGE_DELETE", {}),
    ("MESSAGE_REACTION_ADD", {"emoji": {}}),
    ("GUILD_CREATE", {"id": GUILD_ID, "channels": [{}]}),
    ("CHANNEL_UPDATE", {"id": "77"}),
    ("THREAD_CREATE", {"id": "1", "guild_id": GUILD_ID}),
    ("INTERACTION_CREATE", {"id": "1", "type": 2}),
    ("SOMETHING_NEW", {"nobody": "knows"}),
]


@pytest.mark.parametrize(("event", "payload"), POISON)
async def test_an_event_that_cannot_be_read_is_skipped(stack: Stack, event: str, payload: dict):
    stack.discord.dispatch(event, payload)
    stack.ask("Still there?")
    assert await stack.answered() == [CANNED]
    assert stack.discord.gateway.identified == 1


async def test_a_prompt_that_comes_twice_at_once_is_answered_once(stack: Stack):
    first = asyncio.Event()
    stack.ollama.enqueue([*say("Once."), hold(first)])
    prompt = stack.ask("Twice?")
    for _ in range(3):
        stack.discord.dispatch("MESSAGE_CREATE", prompt)
    await stack.shows("Once.")
    stack.discord.dispatch("MESSAGE_CREATE", prompt)
    first.set()
    assert await stack.answered() == ["Once."]
    assert len(stack.ollama.chats) == 1


async def test_a_hint_that_is_asked_for_twice_comes_once(stack: Stack):
    prompt = stack.ask("")
    stack.discord.dispatch("MESSAGE_CREATE", prompt)
    await stack.until(stack.texts)
    await asyncio.sleep(0.05)
    assert len(stack.texts()) == 1


async def test_prompts_that_come_in_the_wrong_order_are_each_answered(stack: Stack):
    stack.discord.zombie()
    older, newer = stack.ask("The older"), stack.ask("The newer", user=LINUS_ID)
    stack.discord.dispatch("MESSAGE_CREATE", newer)
    stack.discord.dispatch("MESSAGE_CREATE", older)
    stack.discord.zombie(False)
    await stack.answered(2)
    await stack.idle()
    assert chats_about(stack, "The older") == 1
    assert chats_about(stack, "The newer") == 1


async def test_a_prompt_whose_deletion_came_first_is_not_answered(stack: Stack):
    prompt = stack.say("not for the bot")
    stack.discord.dispatch("MESSAGE_DELETE", {"id": "4711", "channel_id": GENERAL_ID, "guild_id": GUILD_ID})
    stack.discord.dispatch("MESSAGE_CREATE", prompt | {"id": "4711", "content": f"<@{BOT_ID}> hi", "mentions": [BOT]})
    stack.ask("Another")
    assert await stack.answered() == [CANNED]
    assert len(stack.ollama.chats) == 1


BOT = {"id": BOT_ID, "username": "Burble", "discriminator": "0", "avatar": None, "bot": True}


async def test_a_prompt_that_is_deleted_while_it_is_taken_in_is_not_answered(stack: Stack, monkeypatch):
    store, taken_in = stack.services.store, asyncio.Event()
    take_in = store.take_in

    async def slow(*args, **options):
        taken_in.set()
        await asyncio.sleep(0.05)
        return await take_in(*args, **options)

    monkeypatch.setattr(store, "take_in", slow)
    prompt = stack.ask("Oops")
    await taken_in.wait()
    stack.world.delete(prompt["author"]["id"], GENERAL_ID, prompt["id"])
    await asyncio.sleep(0.1)
    await stack.idle()
    assert stack.texts() == []
    assert stack.ollama.chats == []


@pytest.mark.slow
async def test_a_loop_that_stood_still_for_two_seconds_breaks_nothing(stack: Stack):
    more = asyncio.Event()
    stack.ollama.enqueue([*say("It begins"), hold(more), *say(" and ends.")])
    stack.ask("Go")
    await stack.shows("It begins")
    time.sleep(2)  # noqa: ASYNC251  # the subject
    more.set()
    stack.ask("Meanwhile", channel=CODE_ID)
    assert await stack.answered() == ["It begins and ends."]
    assert await stack.answered(1, CODE_ID) == [CANNED]
    assert stack.discord.gateway.identified == 1


async def test_a_click_that_fails_gets_a_reference_and_the_bot_runs_on(stack: Stack, caplog, monkeypatch):
    def explode(*_: object) -> None:
        raise RuntimeError("a bug")

    prompt = stack.ask("Hello")
    await stack.answered(1)
    with monkeypatch.context() as broken:
        broken.setattr(stack.services.queue, "find", explode)
        stack.world.react(LINUS_ID, GENERAL_ID, prompt["id"], "⏹️")
        text = await stack.shows("Something went wrong on my side")
        assert f"reference {text.split('`')[1]}" in caplog.text
        assert "a bug" in caplog.text
        assert "a bug" not in text
    stack.ask("Still there?", channel=CODE_ID)
    assert await stack.answered(1, CODE_ID) == [CANNED]


async def test_a_listener_that_fails_leaves_a_reference_and_the_bot_running(stack: Stack, caplog, monkeypatch):
    def explode(*_: object) -> None:
        raise RuntimeError("a bug")

    prompt = stack.ask("Hello")
    await stack.answered(1)
    with monkeypatch.context() as broken:
        broken.setattr(stack.services.queue, "find", explode)
        stack.world.delete(prompt["author"]["id"], GENERAL_ID, prompt["id"])
        await stack.until(lambda: "on_raw_message_delete failed, reference" in caplog.text)
    stack.ask("Still there?", channel=CODE_ID)
    assert await stack.answered(1, CODE_ID) == [CANNED]


async def test_a_command_that_comes_twice_is_answered_once(stack: Stack):
    await stack.until(lambda: stack.world.commands)
    stack.world.run_command(stack.world.people[0]["id"], GENERAL_ID, ["ask"], {"prompt": "Once?"})
    event = next(payload for name, payload in stack.events if name == "INTERACTION_CREATE")
    for _ in range(3):
        stack.discord.dispatch("INTERACTION_CREATE", event)
    await stack.shows(CANNED)
    await stack.idle()
    assert len(stack.ollama.chats) == 1
    assert len(stack.texts()) == 1


async def test_a_prompt_that_fails_before_there_is_a_reply_gets_a_reference(stack: Stack, caplog, monkeypatch):
    async def explode(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stack.services.responder, "respond", explode)
    stack.ask("Hello")
    text = await stack.shows("Something went wrong on my side")
    assert text.split("`")[1] in caplog.text
    assert "a bug" not in text


async def test_a_sentence_outlives_troubles_of_discord(stack: Stack):
    for fault in ({"status": 500}, {"reset": True}, {"status": 429}):
        stack.discord.inject(method="POST", route="/channels/*/messages", **fault)
    stack.ask("")
    assert "Write your question" in await stack.shows("Hi!")
    assert len(stack.texts()) == 1


async def test_permissions_that_come_back_end_the_pause(stack: Stack):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
    stack.ask("Hello")
    assert stack.bot is not None
    await stack.until(lambda: stack.bot.pauses.is_paused(int(GENERAL_ID)))
    stack.world.set_permissions(GENERAL_ID, BOT_ID)
    stack.ask("Hello again")
    assert await stack.answered() == [CANNED]


async def test_a_reply_that_is_running_when_the_bot_is_back_under_a_new_session_ends_well(stack: Stack):
    stack.ollama.enqueue([*say("Long"), hang()])
    stack.ask("Go")
    await stack.shows("Long")
    await stack.discord.close_gateway(4000)
    await resumed(stack)
    stack.world.react(LINUS_ID, GENERAL_ID, stack.replies()[0]["id"], "⏹️")
    stack.world.react(stack.world.people[0]["id"], GENERAL_ID, stack.replies()[0]["id"], "⏹️")
    assert CURSOR not in await stack.shows("stopped by")
