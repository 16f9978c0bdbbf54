"""Where the bot lacks a permission the answer comes all the same, and nothing is refused that could be known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.delivery.dm_fallback import DmFallback
from bot.generation.status import StatusTiming
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, LINUS_ID
from tests.scripted_ollama import done, hold, say
from tests.whole.stack import CURSOR, STOP, Stack, running, servers
from tests.whole.test_stopping import control

HINT = "-# `/stop` ends it"
WORDS = " ".join(f"word{number}" for number in range(400))


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


def deny(stack: Stack, permission: Permission) -> None:
    stack.world.deny(GENERAL_ID, BOT_ID, int(permission))


def refused(stack: Stack) -> list[tuple[str, str, int]]:
    return [(each.method, each.path, each.status) for each in stack.discord.log if each.status >= 400]


# Read Message History


async def test_without_read_message_history_nothing_is_refused(stack: Stack):
    deny(stack, Permission.READ_MESSAGE_HISTORY)
    for number in range(1, 7):
        stack.ask("Hello")
        await stack.answered(number)
    await stack.idle()
    assert refused(stack) == []
    assert not any("message_reference" in reply for reply in stack.replies())


async def test_without_read_message_history_a_hint_comes_in_one_request(stack: Stack):
    deny(stack, Permission.READ_MESSAGE_HISTORY)
    stack.ask("")
    await stack.shows("Write your question")
    assert refused(stack) == []


async def test_a_reply_that_is_refused_goes_without_in_a_turn_of_its_own(stack: Stack, caplog):
    cannot = {"message": "Cannot reply without permission to read message history", "code": 160002}
    fault = stack.discord.inject(method="POST", route="/channels/*/messages", status=400, body=cannot)
    stack.ask("Hello")
    assert await stack.answered() == ["Hello from the scripted model."]
    assert fault.hits == 1
    assert "message_reference" not in stack.replies()[0]
    assert "trying on" in caplog.text


# Add Reactions


async def test_without_add_reactions_no_request_is_refused_and_the_command_is_named(stack: Stack):
    deny(stack, Permission.ADD_REACTIONS)
    first, second = asyncio.Event(), asyncio.Event()
    stack.ollama.enqueue(
        [*say("Words at once,"), hold(first), *say(" then more,"), hold(second), *say(" and the end.")]
    )
    stack.ask("Tell me")
    assert HINT not in await stack.shows("at once")
    await asyncio.sleep(0.1)  # longer than a control would take to come
    first.set()
    assert (await stack.shows("then more")).endswith(f"{CURSOR}\n{HINT}")
    second.set()
    assert await stack.answered() == ["Words at once, then more, and the end."]
    await stack.idle()
    assert refused(stack) == []
    assert len(stack.replies()) == 1


async def test_the_status_names_what_can_be_used(stack: Stack):
    for words in ("⏹️ or `/stop` ends it", "· `/stop` ends it"):
        go = asyncio.Event()
        stack.ollama.enqueue([hold(go), *say("Here.")])
        stack.ask("Hello")
        assert words in await stack.shows("waiting for")
        go.set()
        await stack.idle()
        deny(stack, Permission.ADD_REACTIONS)
    assert refused(stack) == []


async def test_a_short_answer_names_no_command(tmp_path: Path):
    async with servers(tmp_path) as stack:
        stack.timing = StatusTiming(status_after=60, control_after=60)  # short is what is over before that
        deny(stack, Permission.ADD_REACTIONS)
        async with stack.running_bot():
            stack.ask("Quick")
            await stack.answered()
            await stack.idle()
        assert not any("/stop" in str(payload.get("content")) for _, payload in stack.events)


async def test_a_control_that_discord_refuses_becomes_words(stack: Stack):
    body = {"message": "Missing Permissions", "code": 50013}
    fault = stack.discord.inject(method="PUT", route="/channels/*/messages/*/reactions/*/*", status=403, body=body)
    go, end = asyncio.Event(), asyncio.Event()
    stack.ollama.enqueue([*say("Words at once,"), hold(go), *say(" then more,"), hold(end), *say(" and the end.")])
    stack.ask("Tell me")
    await stack.until(lambda: fault.hits)
    go.set()
    await stack.shows(HINT)
    end.set()
    assert await stack.answered() == ["Words at once, then more, and the end."]


async def test_the_hint_leaves_with_every_page(stack: Stack):
    deny(stack, Permission.ADD_REACTIONS)
    go, end = asyncio.Event(), asyncio.Event()
    stack.ollama.enqueue([hold(go), *say(WORDS, 0.0005), hold(end), *say(" The end.")])
    stack.ask("Tell me")
    await stack.shows("waiting for")
    go.set()
    await stack.until(lambda: len(stack.replies()) == 2)
    await stack.shows("word399")
    await stack.until(lambda: HINT not in stack.texts()[0])
    end.set()
    first, second = await stack.answered(2)
    assert HINT not in first + second
    assert CURSOR not in first + second
    assert f"{first} {second}" == f"{WORDS} The end."


async def test_without_add_reactions_a_reaction_of_the_asker_still_stops_and_is_taken_away(stack: Stack):
    stack.world.set_permissions(
        GENERAL_ID, BOT_ID, allow=int(Permission.MANAGE_MESSAGES), deny=int(Permission.ADD_REACTIONS)
    )
    go = asyncio.Event()
    stack.ollama.enqueue([*say("Words at once"), hold(go)])
    prompt = stack.ask("Tell me")
    await stack.shows("at once")
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], STOP)
    await stack.shows("stopped by Ada")
    await stack.idle()
    assert control(stack.world.message(GENERAL_ID, prompt["id"])) == []


# Attach Files


async def overlong(stack: Stack, user: str = LINUS_ID) -> str:
    """Ask for more than fits in one message; return what that shows at the end."""
    stack.ollama.enqueue([*say(WORDS), done()])
    stack.ask("Everything", user=user)
    [text] = await stack.answered()
    await stack.idle()
    return text


def direct(stack: Stack, user: str = LINUS_ID) -> list[dict]:
    return stack.world.messages(stack.world.open_dm(user)["id"], user)


async def test_without_attach_files_the_file_goes_to_who_asked_in_true_words(tmp_path: Path, caplog):
    async with running(tmp_path, max_messages=1) as stack:
        deny(stack, Permission.ATTACH_FILES)
        text = await overlong(stack)
        shown, _, words = text.rpartition("\n")
        assert words == (
            "-# ⚠️ the whole answer does not fit here, and I may not attach files; who asked has got it directly"
        )
        assert shown.startswith("word0 word1 word2")
        [message] = direct(stack)
        assert "cannot write" not in message["content"]
        assert f"I may not attach files in <#{GENERAL_ID}>" in message["content"]
        assert [file["filename"] for file in message["attachments"]] == ["answer.md"]
        assert "The file of an answer in channel" in caplog.text
        assert "takes no more" not in caplog.text


async def test_without_attach_files_and_direct_messages_the_answer_ends_in_true_words(tmp_path: Path, caplog):
    async with running(tmp_path, max_messages=1) as stack:
        deny(stack, Permission.ATTACH_FILES)
        closed = {"message": "Cannot send messages to this user", "code": 50007}
        dm = stack.world.open_dm(LINUS_ID)["id"]
        stack.discord.inject(method="POST", route=f"/channels/{dm}/messages", status=403, body=closed, times=-1)
        text = await overlong(stack)
        assert text.startswith("word0 word1 word2")
        assert text.endswith("\n-# ⚠️ the whole answer does not fit here, and I may not attach files")
        assert "The file of an answer in channel" in caplog.text


async def test_a_file_that_is_handed_over_does_not_spend_the_last_resort(tmp_path: Path, monkeypatch):
    opened: list[DmFallback] = []
    monkeypatch.setattr(DmFallback, "note", lambda self, *_, **__: opened.append(self))
    async with running(tmp_path, max_messages=1) as stack:
        deny(stack, Permission.ATTACH_FILES)
        await overlong(stack)
        assert len(direct(stack)) == 1
        assert opened == []


async def test_words_that_are_late_cost_no_second_file(tmp_path: Path):
    async with running(tmp_path, max_messages=1) as stack:
        late = stack.discord.inject(
            method="PATCH", route=f"/channels/{GENERAL_ID}/messages/*", status=503, times=2, skip=1
        )
        deny(stack, Permission.ATTACH_FILES)
        await overlong(stack)
        assert late.spent
        assert len(direct(stack)) == 1


# Threads


async def test_a_thread_whose_channel_is_unknown_is_answered(stack: Stack):
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "aside")["id"]
    stack.ask("Hello", channel=thread)
    await stack.answered(1, thread)
    assert stack.bot is not None
    stack.bot.guilds[0]._channels.pop(int(GENERAL_ID))
    stack.ask("And again", channel=thread)
    assert await stack.answered(2, thread) == ["Hello from the scripted model."] * 2


# /ask


async def test_an_ask_keeps_its_question_where_the_rest_cannot_be_shown(stack: Stack):
    more = asyncio.Event()
    stack.ollama.enqueue([*say("The beginning."), hold(more), *say(f" {WORDS[:1100]}\n\n{WORDS[:1100]}")])
    stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "What is it?"})
    await stack.shows("The beginning.")
    refusal = {"message": "Cannot send messages", "code": 50013}
    stack.discord.inject(method="POST", route="/webhooks/*/*", status=403, body=refusal, times=-1)
    stack.discord.inject(method="POST", route="/channels/*/messages", status=403, body=refusal, times=-1)
    more.set()
    await stack.until(stack.ollama.chats[-1].closed.is_set)
    await stack.idle()
    [text] = stack.texts()
    assert text.startswith("> What is it?\nThe beginning. word0")
    assert text.endswith("\n-# ⚠️ the rest could not be shown")
    assert CURSOR not in text
