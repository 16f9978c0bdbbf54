"""One user or channel cannot starve the others, and whoever has to wait is told."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from bot.command_tree import COMMANDS_PER_MINUTE
from bot.generation.queue import MAX_WAITING, MAX_WAITING_OF_USER
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID, GRACE_ID, LINUS_ID, RANDOM_ID
from tests.scripted_ollama import hold, say
from tests.whole.stack import Stack, running, talk

CANNED = "Hello from the scripted model."
TOO_FAST = "That is too fast for me"


def channels(stack: Stack, count: int) -> list[str]:
    return [stack.world.create_channel(f"room-{number}")["id"] for number in range(count)]


def held(stack: Stack, count: int) -> asyncio.Event:
    """Let the next *count* answers begin and wait for the event."""
    go = asyncio.Event()
    for _ in range(count):
        stack.ollama.enqueue([*say("It begins"), hold(go)])
    return go


def asked(stack: Stack) -> list[str]:
    """Who was answered, in the order in which the model was asked: prompts here are their users' names."""
    return [talk(stack, index)[-1]["content"].split("⟧ ")[-1] for index in range(len(stack.ollama.chats))]


def notices(texts: list[str]) -> list[str]:
    return [text for text in texts if text.startswith("⚠️")]


async def settled(stack: Stack, count: int, *rooms: str) -> list[str]:
    """Wait until the bot has *count* messages in *rooms*, and a moment more; return all their texts."""
    rooms = rooms or (GENERAL_ID,)

    def texts() -> list[str]:
        return [text for room in rooms for text in stack.texts(room)]

    await stack.until(lambda: len(texts()) >= count)
    await stack.idle()
    await asyncio.sleep(0.05)
    return texts()


# ---------------------------------------------------------------- rates


async def test_a_flood_of_one_user_is_told_once_and_costs_the_others_nothing(tmp_path: Path, caplog):
    async with running(tmp_path, user_prompts_per_minute=3) as stack:
        with caplog.at_level(logging.INFO):
            for number in range(100):
                stack.ask(f"flood {number}")
            stack.ask("Linus", user=LINUS_ID)
            texts = await settled(stack, 5)
        [notice] = notices(texts)
        assert "I take 3 questions a minute from one person. Please ask again in 20 seconds" in notice
        assert texts.count(CANNED) == 4
        assert asked(stack) == ["flood 0", "flood 1", "flood 2", "Linus"]
        [line] = [record for record in caplog.records if "more than 3 prompts a minute" in record.getMessage()]
        assert line.levelno == logging.WARNING
        assert ADA_ID in line.getMessage()
        assert "flood" not in caplog.text


async def test_the_notice_stands_under_the_message_that_it_is_about(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=1) as stack:
        stack.ask("one")
        await stack.answered(1)
        second = stack.ask("two")
        await stack.shows(TOO_FAST)
        [notice] = [message for message in stack.replies() if TOO_FAST in message["content"]]
        assert notice["referenced_message"]["id"] == second["id"]


async def test_a_flood_in_another_channel_is_told_there_too(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=1) as stack:
        for channel in (GENERAL_ID, CODE_ID, CODE_ID, GENERAL_ID, RANDOM_ID):
            stack.ask("Hello", channel=channel)
        await settled(stack, 4, GENERAL_ID, CODE_ID, RANDOM_ID)
        assert [len(notices(stack.texts(channel))) for channel in (GENERAL_ID, CODE_ID, RANDOM_ID)] == [1, 1, 1]


async def test_a_flood_of_many_in_one_channel_leaves_the_other_channels_alone(tmp_path: Path):
    async with running(tmp_path, channel_prompts_per_minute=3) as stack:
        for _ in range(5):
            for user in (ADA_ID, GRACE_ID, LINUS_ID):
                stack.ask("Hello", user=user)
        stack.ask("Hello", channel=CODE_ID)
        await settled(stack, 5, GENERAL_ID, CODE_ID)
        [notice] = notices(stack.texts())
        assert "from one channel" in notice
        assert stack.texts().count(CANNED) == 3
        assert stack.texts(CODE_ID) == [CANNED]


async def test_direct_messages_replies_and_commands_count_alike(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=3) as stack:
        await stack.until(lambda: stack.world.commands)
        home = stack.world.open_dm(ADA_ID)["id"]
        stack.say("directly", channel=home)
        await stack.answered(1, home)
        stack.ask("in a channel")
        [text] = await stack.answered(1)
        stack.say("and on", reply_to=stack.replies()[-1]["id"])
        await stack.answered(2)
        ask(stack)
        [refusal] = await stack.until(lambda: [m for m in stack.replies() if TOO_FAST in m["content"]])
        assert refusal["flags"] & 64, "for who used the command alone"
        stack.say("again", channel=home)
        assert TOO_FAST in (await stack.answered(2, home))[-1]
        assert len(stack.ollama.chats) == 3
        assert text == CANNED


def ask(stack: Stack, user: str = ADA_ID, channel: str = GENERAL_ID) -> Any:
    return stack.world.run_command(user, channel, ["ask"], {"prompt": "Why?"})


async def test_every_refused_command_gets_its_answer(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=1) as stack:
        await stack.until(lambda: stack.world.commands)
        for _ in range(5):
            ask(stack)
        texts = await settled(stack, 5)
        assert len([text for text in texts if TOO_FAST in text]) == 4
        assert len(texts) == 5


async def test_messages_without_words_are_prompts_too(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=2) as stack:
        for _ in range(30):
            stack.ask("")
        assert sorted(text[:2] for text in await settled(stack, 3)) == ["Hi", "Hi", "⚠️"]


async def test_a_refused_message_that_is_delivered_again_stays_refused(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=1) as stack:
        stack.ask("one")
        await stack.answered(1)
        second = stack.ask("two")
        await stack.shows(TOO_FAST)
        stack.services.responder.admission = stack.services.responder.admission.apart()
        stack.discord.gateway.dispatch("MESSAGE_CREATE", stack.world.message(GENERAL_ID, second["id"]))
        stack.ask("three", user=LINUS_ID)
        assert len(await settled(stack, 3)) == 3
        assert len(stack.ollama.chats) == 2


async def test_an_event_that_comes_twice_counts_once(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=2) as stack:
        first = stack.ask("one")
        for _ in range(5):
            stack.discord.gateway.dispatch("MESSAGE_CREATE", stack.world.message(GENERAL_ID, first["id"]))
        await stack.answered(1)
        stack.ask("two")
        assert await stack.answered(2) == [CANNED, CANNED]


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_what_was_asked_over_hours_and_comes_at_once_is_no_flood(tmp_path: Path, monkeypatch):
    """Asked by turns in two channels while the session was lost, one question in ten minutes."""
    async with running(tmp_path, user_prompts_per_minute=1) as stack:
        stack.ask("before")
        await stack.answered(1)
        stack.ask("before", channel=CODE_ID, user=LINUS_ID)
        await stack.answered(1, CODE_ID)
        stack.discord.invalidate_session(resumable=False)
        await stack.until(lambda: not stack.discord.bot_online)
        begin = stack.world.now()
        for number in range(6):
            monkeypatch.setattr(stack.world.state.ids, "_now", lambda number=number: begin + 600 * (number + 1))
            stack.ask(f"missed {number}", channel=(GENERAL_ID, CODE_ID)[number % 2])
        await stack.until(lambda: len(stack.ollama.chats) == 8, seconds=20)
        assert notices(await settled(stack, 8, GENERAL_ID, CODE_ID)) == []


async def test_commands_without_end_are_asked_to_wait_but_stop_always_works(tmp_path: Path):
    async with running(tmp_path) as stack:
        await stack.until(lambda: stack.world.commands)
        for _ in range(COMMANDS_PER_MINUTE + 3):
            stack.world.run_command(ADA_ID, GENERAL_ID, ["help"], {})
        refused = await stack.until(lambda: three([t for t in stack.texts() if "Not so fast" in t]))
        assert refused[0] == "Not so fast: please try again in 3 s."
        stack.world.run_command(ADA_ID, GENERAL_ID, ["stop"], {})
        await stack.shows("Nothing is running here.")
        stack.world.run_command(LINUS_ID, GENERAL_ID, ["model", "list"], {})
        await stack.until(lambda: any("2 models" in m["content"] for m in stack.world.messages(GENERAL_ID, LINUS_ID)))
        assert await stack.world.autocomplete(ADA_ID, GENERAL_ID, ["model", "use"], {"name": ""}, "name")


def three(texts: list[str]) -> list[str]:
    return texts if len(texts) == 3 else []


# ---------------------------------------------------------------- places


async def test_one_user_in_many_channels_does_not_hold_the_others_up(tmp_path: Path):
    async with running(tmp_path, max_concurrent_replies=1) as stack:
        go = held(stack, 1)
        rooms = channels(stack, 6)
        for room in rooms:
            stack.ask("Ada", channel=room)
        await stack.until(lambda: len(list(stack.services.queue)) == 6)
        for user, name, channel in ((LINUS_ID, "Linus", GENERAL_ID), (GRACE_ID, "Grace", CODE_ID)):
            stack.ask(name, user=user, channel=channel)
            await stack.until(lambda channel=channel: stack.services.queue.in_channel(int(channel)))
        go.set()
        await stack.idle()
        assert asked(stack) == ["Ada", "Linus", "Grace", "Ada", "Ada", "Ada", "Ada", "Ada"]
        for room in rooms[1:]:
            assert stack.texts(room) == [CANNED]


async def test_users_with_as_much_to_ask_are_answered_in_turn(tmp_path: Path):
    async with running(tmp_path, max_concurrent_replies=1) as stack:
        go = held(stack, 1)
        for user, name in ((ADA_ID, "Ada"), (LINUS_ID, "Linus"), (GRACE_ID, "Grace")):
            for room in channels(stack, 3):
                stack.ask(name, user=user, channel=room)
                await stack.until(lambda room=room: stack.services.queue.in_channel(int(room)))
        go.set()
        await stack.idle()
        assert asked(stack) == ["Ada", "Linus", "Grace"] * 3


async def test_the_last_quarter_of_the_places_is_kept_for_somebody_else(tmp_path: Path):
    async with running(tmp_path, max_concurrent_replies=4) as stack:
        go = held(stack, 3)
        *first, last = channels(stack, 4)
        for room in first:
            stack.ask("Ada", channel=room)
        await stack.until(lambda: len(stack.ollama.chats) == 3)
        stack.ask("Ada", channel=last)
        assert "waiting for one of your other answers to end" in await stack.shows("waiting", last)
        stack.ask("Linus", user=LINUS_ID)
        assert await stack.answered(1) == [CANNED]
        assert "waiting for one of" in stack.texts(last)[0]
        go.set()
        await stack.idle()
        assert stack.texts(last) == [CANNED]


# ---------------------------------------------------------------- bounds


async def test_one_users_waiting_questions_are_bounded_over_all_channels(tmp_path: Path, caplog):
    async with running(tmp_path, max_concurrent_replies=1) as stack:
        go = held(stack, 1)
        rooms = channels(stack, MAX_WAITING_OF_USER + 2)
        for room in rooms[:-1]:
            stack.ask("Ada", channel=room)
        await stack.until(lambda: len(list(stack.services.queue)) == MAX_WAITING_OF_USER + 1)
        for _ in range(5):
            stack.ask("Ada", channel=rooms[-1])
        await stack.shows("Too many of your questions are waiting already", rooms[-1])
        stack.ask("Linus", user=LINUS_ID)
        await stack.until(lambda: stack.services.queue.in_channel(int(GENERAL_ID)))
        go.set()
        await stack.idle()
        assert len(stack.texts(rooms[-1])) == 1
        assert caplog.text.count("too many prompts wait (user)") == 1
        assert asked(stack)[:2] == ["Ada", "Linus"]


@pytest.mark.parametrize("users", [(ADA_ID,), (ADA_ID, GRACE_ID, LINUS_ID)])
async def test_a_hundred_at_once_in_one_channel_get_one_sentence_each_user(tmp_path: Path, users: tuple[str, ...]):
    """Even if no rate is set, and all of them arrive before the first is stored."""
    async with running(tmp_path) as stack:
        go = held(stack, 1)
        for number in range(100):
            stack.ask("Hello", user=users[number % len(users)])
        waiting = min(MAX_WAITING, MAX_WAITING_OF_USER * len(users))
        await stack.until(lambda: len(stack.services.queue.in_channel(int(GENERAL_ID))) == 1 + waiting)
        await stack.until(lambda: len(notices(stack.texts())) >= len(users))
        await asyncio.sleep(0.1)
        words = "Too many questions are waiting in this channel" if len(users) > 1 else "Too many of your questions"
        refusals = notices(stack.texts())
        assert len(refusals) == len(users)
        assert any(words in text for text in refusals)
        go.set()
        await stack.idle()


async def test_a_command_for_which_there_is_no_room_is_told_to_its_user_alone(tmp_path: Path):
    async with running(tmp_path, max_concurrent_replies=1) as stack:
        await stack.until(lambda: stack.world.commands)
        go = held(stack, 1)
        for _ in range(MAX_WAITING_OF_USER + 1):
            stack.ask("Hello")
        await stack.until(lambda: len(list(stack.services.queue)) == MAX_WAITING_OF_USER + 1)
        ask(stack, channel=CODE_ID)
        [message] = await stack.until(lambda: stack.replies(CODE_ID))
        assert message["flags"] & 64
        assert "Too many of your questions" in message["content"]
        assert message["author"]["id"] == BOT_ID
        go.set()
        await stack.idle()
