"""Deleting is forgetting: what was deleted in Discord reaches no model again and leaves the database."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.conversation import erasure
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID, GRACE_ID, GUILD_ID, LINUS_ID
from bot.recovery import memory_check
from tests.scripted_ollama import cut, hang, hold, say, status
from tests.whole.stack import Stack, running, servers, talk

BUSY = status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "GRACE_SECONDS", 0.02)
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.02)


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


def rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{stack.settings.data_dir}/burble.db?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def count(stack: Stack, table: str) -> int:
    return int(rows(stack, f"SELECT count(*) FROM {table}")[0][0])


def in_files(stack: Stack, words: str) -> bool:
    return any(words.encode() in file.read_bytes() for file in stack.settings.data_dir.iterdir() if file.is_file())


async def asked(stack: Stack, question: str, answer: str, **options: Any) -> tuple[dict, list[dict]]:
    """Ask, have it answered; return the question and the messages of the answer."""
    before = len(stack.replies(options.get("channel", GENERAL_ID)))
    stack.ollama.enqueue(say(answer))
    prompt = stack.ask(question, **options)
    await stack.answered(before + 1, options.get("channel", GENERAL_ID))
    return prompt, stack.replies(options.get("channel", GENERAL_ID))[before:]


async def sent(stack: Stack, **options: Any) -> str:
    """What the model is sent with the next question."""
    await asked(stack, "What now?", "Nothing.", **options)
    return str(stack.ollama.chats[-1].json["messages"])


async def erased(stack: Stack, *words: str) -> None:
    await stack.until(lambda: not any(in_files(stack, each) for each in words))


# Questions and answers


@pytest.mark.parametrize("how", ["one", "bulk"])
async def test_a_deleted_question_is_forgotten_with_its_answer(stack: Stack, how: str):
    prompt, replies = await asked(stack, "Is my pin 4711?", "Yes, 4711 it is.")
    await asked(stack, "And the weather?", "Fine.")
    if how == "one":
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    else:
        stack.world.delete_many(GENERAL_ID, [prompt["id"]])
    request = await sent(stack)
    assert "4711" not in request
    assert "And the weather?" in request
    await erased(stack, "4711")
    assert replies[0]["id"] in [message["id"] for message in stack.replies()]  # what stands on screen stays


async def test_a_deleted_message_of_an_answer_takes_the_answer_along(stack: Stack):
    long = "".join(f"Secret number {number} stands here.\n\n" for number in range(150))
    _, replies = await asked(stack, "Tell me all", long)
    assert len(replies) > 1
    stack.world.delete(GRACE_ID, GENERAL_ID, replies[-1]["id"])
    request = await sent(stack)
    assert "Secret number" not in request
    assert "Tell me all" in request
    await erased(stack, "Secret number")


async def test_a_question_is_forgotten_while_its_answer_runs(stack: Stack):
    stack.ollama.enqueue([*say("Half of the secret"), hang()])
    prompt = stack.ask("A secret question")
    await stack.shows("Half of the secret")
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await stack.shows("the question was deleted")
    assert "ecret" not in await sent(stack)
    await erased(stack, "ecret")
    assert await stack.shows("Half of the secret")


async def test_an_answer_is_forgotten_while_it_runs(stack: Stack):
    stack.ollama.enqueue([*say("Half of the secret"), hang()])
    stack.ask("A good question")
    await stack.shows("Half of the secret")
    stack.world.delete(GRACE_ID, GENERAL_ID, stack.replies()[-1]["id"])
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.idle()
    request = await sent(stack)
    assert "secret" not in request
    assert "A good question" in request
    await erased(stack, "secret")


async def test_a_question_that_waits_is_never_sent(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue([*say("one"), hold(go)])
    stack.ask("first")
    await stack.until(lambda: stack.ollama.chats)
    waiting = stack.ask("second and secret", user=LINUS_ID)
    await stack.shows("next in line")
    stack.world.delete_many(GENERAL_ID, [waiting["id"]])
    go.set()
    await stack.idle()
    assert "secret" not in await sent(stack)
    await erased(stack, "secret")


async def test_deleting_a_commands_first_message_is_deleting_the_question(stack: Stack):
    await stack.until(lambda: stack.world.commands)
    for number in range(2):
        stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": f"secret {number}"})
        await stack.answered(number + 1)
    await stack.until(lambda: count(stack, "prompt") == 2)
    stack.world.delete(GRACE_ID, GENERAL_ID, stack.replies()[0]["id"])
    await erased(stack, "secret 0")
    assert count(stack, "prompt") == 1


async def test_our_own_deletions_forget_nothing(stack: Stack):
    prompt, replies = await asked(stack, "Keep this", "Of course I do.")
    await stack.bot.api.delete_message(int(GENERAL_ID), int(replies[0]["id"]))
    await stack.until(lambda: not stack.replies())
    assert "Of course I do." in await sent(stack)
    assert prompt["content"].endswith("Keep this")


async def test_a_deleted_question_that_is_delivered_again_after_a_restart_is_not_answered(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, _ = await asked(stack, "Once", "Once and for all.")
            told = next(data for name, data in stack.events if name == "MESSAGE_CREATE" and data["id"] == prompt["id"])
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
            await stack.until(lambda: count(stack, "prompt") == 0)
        async with stack.running_bot() as bot:
            await stack.until(bot.is_ready)
            stack.discord.dispatch("MESSAGE_CREATE", told)
            await asked(stack, "Another one", "Yes.")
            assert len(stack.ollama.chats) == 2
            assert count(stack, "prompt") == 1


async def test_what_is_deleted_while_an_answer_runs_is_not_sent_again_to_resume_it(stack: Stack):
    prompt, _ = await asked(stack, "My secret", "A secret, well.")
    go = asyncio.Event()
    stack.ollama.enqueue(say("It begins and"), hold(go), cut())
    stack.ollama.enqueue(say(" goes on."))
    stack.ask("Tell me a lot")
    await stack.shows("It begins and")
    assert "secret" in str(stack.ollama.chats[-1].json)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await asyncio.sleep(0.02)
    go.set()
    await stack.shows("goes on.")
    assert "ecret" not in str(stack.ollama.chats[-1].json)
    assert stack.ollama.chats[-1].json["messages"][-1]["content"] == "It begins and"


async def test_what_is_deleted_while_ollama_is_busy_is_not_sent_with_the_next_try(stack: Stack):
    prompt, _ = await asked(stack, "My secret", "A secret, well.")
    go = asyncio.Event()
    stack.ollama.enqueue(hold(go), BUSY)
    stack.ollama.enqueue(say("Here I am."))
    stack.ask("Are you there?")
    await stack.until(lambda: len(stack.ollama.chats) == 2)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await asyncio.sleep(0.02)
    go.set()
    await stack.shows("Here I am.")
    assert "ecret" not in str(stack.ollama.chats[-1].json)


async def test_a_deleted_message_is_not_sent_as_a_quote_either(stack: Stack):
    source = stack.say("A secret that is to be quoted", user=GRACE_ID)
    await asked(stack, "What of this?", "It is a secret.", reply_to=source["id"])
    assert "to be quoted" in str(stack.ollama.chats[-1].json)
    stack.world.delete(GRACE_ID, GENERAL_ID, source["id"])
    request = await sent(stack)
    assert "to be quoted" not in request
    assert "What of this?" in request
    await erased(stack, "to be quoted")


async def test_a_quote_that_is_deleted_while_its_question_waits_is_never_sent(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue(say("one"), hold(go))
    stack.ask("first")
    await stack.until(lambda: stack.ollama.chats)
    source = stack.say("A secret that is to be quoted", user=GRACE_ID)
    stack.ask("What of this?", user=LINUS_ID, reply_to=source["id"])
    await stack.shows("next in line")
    stack.world.delete(GRACE_ID, GENERAL_ID, source["id"])
    go.set()
    await stack.until(lambda: len(stack.ollama.chats) == 2)
    await stack.idle()
    request = str(stack.ollama.chats[-1].json)
    assert "to be quoted" not in request
    assert "it was deleted" in request
    await erased(stack, "to be quoted")


@pytest.mark.parametrize("which", [0, 1])
async def test_a_question_in_two_messages_goes_with_either(stack: Stack, which: int):
    words = stack.say("A secret question")
    stack.ollama.enqueue(say("A secret answer"))
    mention = stack.ask("")
    await stack.answered()
    assert "A secret question" in str(stack.ollama.chats[-1].json)
    stack.world.delete(ADA_ID, GENERAL_ID, (words, mention)[which]["id"])
    assert "secret" not in await sent(stack)
    await erased(stack, "secret")


async def test_a_question_without_its_answer_does_not_make_two_messages_in_a_row(stack: Stack):
    _, replies = await asked(stack, "First", "One.")
    stack.world.delete(GRACE_ID, GENERAL_ID, replies[0]["id"])
    await asked(stack, "Second", "Two.")
    assert [message["role"] for message in talk(stack, -1)] == ["user"]
    assert talk(stack, -1)[0]["content"] == "⟦Ada⟧ First\n\n⟦Ada⟧ Second"


# Over a restart


async def test_a_kill_between_deleting_and_erasing_loses_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(erasure, "GRACE_SECONDS", 60.0)
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, _ = await asked(stack, "My secret", "Noted, secret it is.")
            await asked(stack, "Something else", "Well.")
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
            await stack.until(lambda: stack.services.store.erasure.withdrawn)
        async with stack.running_bot():
            request = await sent(stack)
            assert "ecret" not in request
            assert "Something else" in request
            await erased(stack, "ecret")


# What was changed while nobody listened


@pytest.mark.parametrize("what", ["edited", "deleted", "quoted"])
async def test_what_happens_in_a_gap_to_a_question_that_waits_is_heeded(tmp_path: Path, what: str):
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            stack.ollama.enqueue(hang())
            stack.ask("First")
            await stack.until(lambda: stack.ollama.chats)
            source = stack.say("A secret of Grace", user=GRACE_ID)
            words = "Well?" if what == "quoted" else "A secret question"
            waiting = stack.ask(words, user=LINUS_ID, reply_to=source["id"] if what == "quoted" else None)
            await stack.until(lambda: len(list(stack.services.queue)) == 2)
            await bot.responder.shutdown(0)
        if what == "edited":
            stack.world.edit(LINUS_ID, GENERAL_ID, waiting["id"], f"<@{BOT_ID}> Another one")
        elif what == "deleted":
            stack.world.delete(LINUS_ID, GENERAL_ID, waiting["id"])
        else:
            stack.world.delete(GRACE_ID, GENERAL_ID, source["id"])
        async with stack.running_bot():
            request = await sent(stack)
            assert ("Another one" in request) is (what == "edited")
            assert ("Well?" in request) is (what == "quoted")
            assert "secret" not in str([chat.json for chat in stack.ollama.chats])
            await erased(stack, "secret")


def looks(stack: Stack) -> int:
    """How often messages were looked up."""
    return sum(record.method == "GET" and record.path.endswith("/messages") for record in stack.discord.log)


@pytest.mark.parametrize("gap", ["restart", "lost session"])
async def test_what_was_deleted_or_edited_in_a_gap_is_found_before_it_is_sent(tmp_path: Path, gap: str):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            question, _ = await asked(stack, "Question-secret", "Answer-secret")
            _, replies = await asked(stack, "Question-kept", "Other-secret")
            edited, _ = await asked(stack, "Question-oldish", "Answer-kept")
            source = stack.say("Quoted-secret")
            await asked(stack, "Quoting-kept", "Fine.", reply_to=source["id"])

        def change() -> None:
            stack.world.delete(ADA_ID, GENERAL_ID, question["id"])
            stack.world.delete(GRACE_ID, GENERAL_ID, replies[0]["id"])
            stack.world.edit(ADA_ID, GENERAL_ID, edited["id"], "Question-after")
            stack.world.delete(ADA_ID, GENERAL_ID, source["id"])

        if gap == "restart":
            change()
        async with stack.running_bot() as bot:
            if gap == "lost session":
                await sent(stack)
                before = stack.discord.gateway.identified
                stack.discord.invalidate_session()
                change()
                await stack.until(lambda: stack.discord.gateway.identified > before and bot.is_ready())
                await asyncio.sleep(0.05)
            request = await sent(stack)
            assert "secret" not in request
            assert "oldish" not in request
            for words in ("Question-kept", "Question-after", "Answer-kept", "Quoting-kept"):
                assert words in request
            await erased(stack, "secret", "oldish")
            looked = looks(stack)
            await sent(stack)
            assert looks(stack) == looked  # once in a session


async def test_far_apart_questions_are_found_with_three_requests_at_most(tmp_path: Path):
    async with servers(tmp_path) as stack:
        prompts = []
        async with stack.running_bot():
            for number in range(5):
                prompts.append((await asked(stack, f"Question-{number}", "Well."))[0])
                for _ in range(120):
                    stack.say("chatter", user=LINUS_ID)
        for prompt in prompts:
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        async with stack.running_bot() as bot:
            await stack.until(lambda: bot.is_ready() and bot.services.seen._lost_at is None)
            before = looks(stack)
            request = await sent(stack)
            assert looks(stack) - before == 3
            assert [number for number in range(5) if f"Question-{number}" in request] == [0, 1, 2]


async def test_an_answer_that_came_after_the_question_is_not_taken_for_deleted(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            await asked(stack, "Question", "Well.")
        async with stack.running_bot():
            go = asyncio.Event()
            stack.ollama.enqueue(hold(go), say("Answer-late"))
            stack.ask("First")
            await stack.until(lambda: len(stack.ollama.chats) == 2)
            stack.ask("Second")
            await stack.shows("next in line")
            go.set()
            await stack.answered(3)
            assert "Answer-late" in str(stack.ollama.chats[-1].json)
            assert "Answer-late" in await sent(stack)


async def test_a_purged_channel_leaves_nothing_to_be_sent(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            await asked(stack, "Question", "Answer")
        stack.world.delete_many(GENERAL_ID, [message["id"] for message in stack.world.messages(GENERAL_ID)])
        async with stack.running_bot():
            assert "Question" not in await sent(stack)
            await erased(stack, "Question")


async def test_where_the_past_may_not_be_read_nothing_is_taken_for_deleted(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            await asked(stack, "Question", "Answer")
        stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.READ_MESSAGE_HISTORY))
        async with stack.running_bot():
            assert "Answer" in await sent(stack)


async def test_a_discord_that_fails_to_tell_is_asked_again_with_the_next_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory_check, "PATIENCE_SECONDS", 0.05)
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, _ = await asked(stack, "Question-secret", "Answer")
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        async with stack.running_bot() as bot:
            await stack.until(lambda: bot.is_ready() and bot.services.seen._lost_at is None)
            fault = stack.discord.inject(method="GET", route="/channels/*/messages", delay=0.3, times=1)
            await asked(stack, "What now?", "Nothing.")
            assert fault.spent
            await stack.until(lambda: count(stack, "prompt") == 1)
            assert "secret" not in await sent(stack)


# Channels and servers


@pytest.mark.parametrize("kind", ["channel", "thread"])
async def test_a_deleted_channel_takes_its_rows_along(stack: Stack, kind: str):
    if kind == "thread":
        channel = stack.world.create_thread(ADA_ID, GENERAL_ID, "aside")["id"]
    else:
        channel = stack.world.create_channel("aside")["id"]
    await asked(stack, "A secret", "It is safe: secret.", channel=channel)
    await asked(stack, "Elsewhere", "Fine.", channel=CODE_ID)
    stack.world.delete_channel(channel)
    await stack.until(lambda: count(stack, "prompt") == 1)
    await erased(stack, "secret")
    assert "Elsewhere" in await sent(stack, channel=CODE_ID)


async def test_a_deleted_channel_in_which_an_answer_runs_leaves_nothing(stack: Stack):
    channel = stack.world.create_channel("aside")["id"]
    stack.ollama.enqueue([*say("Half a secret"), hang()])
    stack.ask("A secret", channel=channel)
    await stack.shows("Half a secret", channel)
    stack.world.delete_channel(channel)
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.idle()
    await stack.until(lambda: count(stack, "prompt") == 0)
    await erased(stack, "secret")


async def test_an_outage_forgets_nothing(stack: Stack):
    await asked(stack, "Remember this", "I do.")
    stack.world.set_outage(True)
    await asyncio.sleep(0.05)
    stack.world.set_outage(False)
    await asyncio.sleep(0.02)
    assert "Remember this" in await sent(stack)
    assert rows(stack, "SELECT key FROM setting WHERE key LIKE 'left:%'") == []


async def test_a_start_during_an_outage_forgets_nothing(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            await asked(stack, "Remember this", "I do.")
        stack.world.set_outage(True)
        async with stack.running_bot() as bot:
            await stack.until(bot.is_ready)
            await asyncio.sleep(0.05)
            assert rows(stack, "SELECT key FROM setting WHERE key LIKE 'left:%'") == []


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_server_that_the_bot_left_is_erased_after_a_week(tmp_path: Path, is_heard: bool):
    mark = f"SELECT value FROM setting WHERE key = 'left:{GUILD_ID}'"
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            await asked(stack, "Remember this secret", "I do.")
            if is_heard:
                stack.world.kick_bot()
                await stack.until(lambda: rows(stack, mark))
        if not is_heard:
            stack.world.kick_bot()
        async with stack.running_bot() as bot:
            await stack.until(lambda: rows(stack, mark))
            now = float(rows(stack, mark)[0][0])
            await bot.store.erasure.tidy(now=now + 6.9 * 86400)
            assert count(stack, "prompt") == 1
            await bot.store.erasure.tidy(now=now + 7.1 * 86400)
            assert count(stack, "prompt") == 0
            await erased(stack, "secret")


async def test_a_server_that_the_bot_comes_back_to_is_kept(stack: Stack):
    await asked(stack, "Remember this", "I do.")
    stack.world.kick_bot()
    await stack.until(lambda: rows(stack, "SELECT 1 FROM setting WHERE key LIKE 'left:%'"))
    stack.world.invite_bot()
    await stack.until(lambda: not rows(stack, "SELECT 1 FROM setting WHERE key LIKE 'left:%'"))
    await stack.services.store.erasure.tidy(now=1e12)
    assert "Remember this" in await sent(stack)


async def test_a_server_that_the_bot_came_back_to_while_it_was_off_is_kept(tmp_path: Path):
    mark = "SELECT value FROM setting WHERE key LIKE 'left:%'"
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            await asked(stack, "Remember this", "I do.")
            bot.store.erasure.note_left(int(GUILD_ID), at=1.0)
            await bot.store.erasure.settle()
            assert rows(stack, mark)
        async with stack.running_bot():
            await stack.until(lambda: not rows(stack, mark))
            assert "Remember this" in await sent(stack)


async def test_deleting_a_running_commands_message_deletes_the_question(stack: Stack):
    await stack.until(lambda: stack.world.commands)
    stack.ollama.enqueue(say("Half of the secret"), hang())
    stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "A secret"})
    await stack.shows("Half of the secret")
    stack.world.delete(GRACE_ID, GENERAL_ID, stack.replies()[0]["id"])
    await asyncio.wait_for(stack.ollama.requests[-1].closed.wait(), 2.0)
    await stack.idle()
    await erased(stack, "secret")
    assert count(stack, "prompt") == 0


async def test_nothing_of_a_request_after_a_deletion_holds_it(stack: Stack):
    """Each message of a longer talk is deleted in turn; the model hears only of the others."""
    prompts = [(await asked(stack, f"Question-{n}-word", f"Answer-{n}-word"))[0] for n in range(4)]
    for number, prompt in enumerate(prompts):
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        request = await sent(stack)
        assert not [n for n in range(number + 1) if f"-{n}-word" in request]
        assert all(f"Answer-{n}-word" in request for n in range(number + 1, 4))
    assert talk(stack, -1)
