"""What a killed process left: brought to its end by the next start, whatever state it is in."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.records import PromptKind, ReplyEnd, ReplyState
from bot.conversation.store import Store
from bot.markdown.splitter import Splitter
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID
from tests.scripted_ollama import pause, say
from tests.whole.leftovers import left, left_message, note, posted
from tests.whole.stack import CURSOR, Stack, servers, talk

pytestmark = pytest.mark.both_databases

INTERRUPTED = "-# ⏹️ interrupted by a restart"
TOLD = "⏹️ interrupted by a restart. Please ask again."
LONG = " ".join(f"word{number}" for number in range(400))


@pytest.fixture
async def stack(tmp_path: Path):
    async with servers(tmp_path) as stack:
        yield stack


def pages(text: str, footer: str = "") -> list[str]:
    splitter = Splitter()
    splitter.feed(text)
    splitter.finish(footer)
    return list(splitter.closed)


def row(stack: Stack, reply_id: int) -> dict[str, Any]:
    columns = ("state", "text", "is_open")
    [found] = stack.rows(f"SELECT {', '.join(columns)} FROM reply WHERE id = {reply_id}")
    return dict(zip(columns, found, strict=True))


def assert_nothing_dangles(stack: Stack) -> None:
    for channel in stack.world.channels:
        for message in stack.replies(channel):
            assert CURSOR not in message["content"]
            assert not left_message(message)


# Closing


async def test_every_page_gets_its_final_text_and_the_row_what_the_model_wrote(stack: Stack):
    prompt = stack.ask("Go")
    splitter = Splitter()
    splitter.feed(LONG[:1500])
    first = posted(stack, prompt, 0, splitter.tail())  # its closing edit was lost
    second = posted(stack, prompt, 1, f"word230 word231 {CURSOR}", control=True)
    notes = [note(prompt, 0, first, splitter.tail()), note(prompt, 1, second, "word230")]
    reply_id = await left(stack, prompt, text=LONG, notes=notes)
    async with stack.running_bot():
        assert stack.texts() == pages(LONG, INTERRUPTED)
        assert_nothing_dangles(stack)
        stored = row(stack, reply_id)
        assert (stored["text"], stored["state"], stored["is_open"]) == (LONG, "interrupted", 0)
        assert stack.ollama.chats == []


async def test_the_row_holds_the_models_markdown_and_the_screen_closes_it(stack: Stack):
    prompt = stack.ask("Go")
    text = "Look:\n```python\nprint('half"
    message = posted(stack, prompt, 0, f"Look:\n```python\nprint('half {CURSOR}\n```")
    await left(stack, prompt, text=text, notes=[note(prompt, 0, message, "x")])
    async with stack.running_bot():
        assert stack.texts() == [f"{text}\n```\n{INTERRUPTED}"]
        stack.ask("Go on")
        await stack.answered(2)
    assert talk(stack, 0)[1]["content"] == text


async def test_text_that_was_never_posted_is_posted(stack: Stack):
    prompt = stack.ask("Go")
    await left(stack, prompt, text=LONG)
    async with stack.running_bot():
        assert stack.texts() == pages(LONG, INTERRUPTED)
        first = stack.replies()[0]
        assert first["message_reference"]["message_id"] == prompt["id"]


@pytest.mark.parametrize("age", [5.0, 5000.0])
@pytest.mark.parametrize("ordinal", [0, 1])
async def test_a_post_under_way_is_found_again_soon_and_late(stack: Stack, ordinal: int, age: float):
    prompt = stack.ask("Go")
    shown = pages(LONG)
    notes = []
    for each in range(ordinal + 1):
        text = shown[each] if each < ordinal else f"{shown[each][:20]} {CURSOR}"
        message = posted(stack, prompt, each, text)
        notes.append(note(prompt, each, message if each < ordinal else None, text))
    if age > 300:
        stack.world.message_rules._nonces.clear()  # Discord knows a nonce for minutes only
    stack.say("Somebody else talks")
    await left(stack, prompt, text=LONG, notes=notes, age=age)
    async with stack.running_bot():
        assert stack.texts()[-2:] == pages(LONG, INTERRUPTED)[-2:]
        assert len(stack.texts()) == 2
        assert_nothing_dangles(stack)


async def test_a_post_that_never_arrived_is_made_once(stack: Stack):
    prompt = stack.ask("Go")
    await left(stack, prompt, text="Half of it", notes=[note(prompt, 0, None, f"Half {CURSOR}")])
    async with stack.running_bot():
        assert stack.texts() == [f"Half of it\n{INTERRUPTED}"]


async def test_a_post_under_way_is_found_by_its_nonce_where_the_history_may_not_be_read(stack: Stack):
    prompt = stack.ask("Go")
    text = f"Half {CURSOR}"
    posted(stack, prompt, 0, text)
    await left(stack, prompt, text="Half of it", notes=[note(prompt, 0, None, text)])
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.READ_MESSAGE_HISTORY))
    async with stack.running_bot():
        assert stack.texts() == [f"Half of it\n{INTERRUPTED}"]


async def test_an_answer_that_ended_is_shown_to_its_end(stack: Stack):
    prompt = stack.ask("Go")
    message = posted(stack, prompt, 0, f"The beginning {CURSOR}", control=True)
    end = ReplyEnd(ReplyState.COMPLETE, "The beginning and the end.", at=1.0)
    reply_id = await left(stack, prompt, text="The beg", notes=[note(prompt, 0, message, "x")], end=end)
    async with stack.running_bot():
        assert stack.texts() == ["The beginning and the end."]
        assert_nothing_dangles(stack)
    assert (row(stack, reply_id)["state"], row(stack, reply_id)["is_open"]) == ("complete", 0)


async def test_a_failure_that_was_not_shown_is_told(stack: Stack):
    prompt = stack.ask("Go")
    await left(stack, prompt, end=ReplyEnd(ReplyState.FAILED, "", footer="⚠️ I cannot reach Ollama."))
    async with stack.running_bot():
        assert stack.texts() == ["⚠️ I cannot reach Ollama."]


async def test_what_the_store_missed_stays_on_screen_and_goes_into_the_row(stack: Stack):
    prompt = stack.ask("Go")
    message = posted(stack, prompt, 0, f"The store was stuck before all this {CURSOR}")
    reply_id = await left(stack, prompt, text="The store", notes=[note(prompt, 0, message, "The store")])
    async with stack.running_bot():
        assert stack.texts() == [f"The store was stuck before all this\n{INTERRUPTED}"]
    assert row(stack, reply_id)["text"] == "The store was stuck before all this"


async def test_an_answer_longer_than_its_messages_gets_its_file(stack: Stack):
    prompt = stack.ask("Go")
    text = " ".join(f"word{number}" for number in range(3000))
    await left(stack, prompt, text=text)
    async with stack.running_bot():
        messages = stack.replies()
        assert len(messages) == stack.settings.max_messages
        assert messages[-1]["content"].endswith(INTERRUPTED)
        [file] = messages[-1]["attachments"]
        assert file["size"] == len(text)


async def test_a_message_that_somebody_deleted_meanwhile_is_not_posted_again(stack: Stack):
    prompt = stack.ask("Go")
    message = posted(stack, prompt, 0, f"Half {CURSOR}")
    reply_id = await left(stack, prompt, text="Half of it", notes=[note(prompt, 0, message, "Half")])
    stack.world.message_rules.remove(stack.world.message(GENERAL_ID, message["id"]))
    async with stack.running_bot():
        assert stack.texts() == []
    assert row(stack, reply_id)["is_open"] == 0


async def test_discord_in_trouble_is_tried_until_it_works(stack: Stack):
    prompt = stack.ask("Go")
    message = posted(stack, prompt, 0, f"Half {CURSOR}")
    await left(stack, prompt, text="Half of it", notes=[note(prompt, 0, message, "Half")])
    fault = stack.discord.inject(method="PATCH", route="/channels/*", times=2, status=503)
    async with stack.running_bot():
        assert stack.texts() == [f"Half of it\n{INTERRUPTED}"]
    assert fault.hits == 2


@pytest.mark.parametrize("lost", ["deleted", "hidden"])
async def test_a_channel_out_of_reach_is_recorded_and_costs_the_others_nothing(
    stack: Stack, caplog: pytest.LogCaptureFixture, lost: str
):
    caplog.set_level(logging.INFO)
    there, gone = stack.ask("Go"), stack.ask("Go", channel=CODE_ID)
    reply_id = await left(stack, gone, text="Nobody sees")
    await left(stack, there, text="Half of it")
    if lost == "deleted":
        stack.world.delete_channel(CODE_ID)
    else:
        stack.world.deny(CODE_ID, BOT_ID, int(Permission.VIEW_CHANNEL))
    async with stack.running_bot():
        assert stack.texts() == [f"Half of it\n{INTERRUPTED}"]
    assert (row(stack, reply_id)["state"], row(stack, reply_id)["text"]) == ("interrupted", "Nobody sees")
    assert f"The interrupted reply {reply_id} is out of reach" in caplog.text


async def test_a_kill_while_closing_is_closed_again_without_a_second_line(stack: Stack):
    prompt = stack.ask("Go")
    message = posted(stack, prompt, 0, f"Half of it\n{INTERRUPTED}")
    reply_id = await left(stack, prompt, text="Half of it", notes=[note(prompt, 0, message, "x")])
    told = stack.ask("And this?")
    message = posted(stack, told, 0, TOLD)
    await left(stack, told, notes=[note(told, 0, message, "x")], age=5000)
    async with stack.running_bot():
        assert stack.texts() == [f"Half of it\n{INTERRUPTED}", TOLD]
    assert row(stack, reply_id)["is_open"] == 0


async def test_a_message_that_another_stands_in_for_loses_its_cursor(stack: Stack):
    prompt = stack.ask("Go")
    posted(stack, prompt, 1, f"The beginning {CURSOR}")
    second = posted(stack, prompt, 2, f"The beginning and {CURSOR}")
    await left(stack, prompt, text="The beginning and the end", notes=[note(prompt, 0, second, "x")])
    async with stack.running_bot():
        assert stack.texts() == ["The beginning", f"The beginning and the end\n{INTERRUPTED}"]


async def test_two_posts_under_way_in_one_channel_are_told_apart(stack: Stack):
    first, second = stack.ask("Go"), stack.ask("Go, too")
    for prompt in (first, second):
        text = f"{LONG[:30]} {CURSOR}"
        zero = posted(stack, prompt, 0, f"Of {prompt['id']} {CURSOR}")
        posted(stack, prompt, 1, f"More of {prompt['id']} {CURSOR}")
        notes = [note(prompt, 0, zero, text), note(prompt, 1, None, f"More of {prompt['id']} {CURSOR}")]
        await left(stack, prompt, text=LONG, notes=notes)
    stack.world.message_rules._nonces.clear()
    async with stack.running_bot():
        shown = pages(LONG, INTERRUPTED)
        assert stack.texts() == [shown[0], shown[1], shown[0], shown[1]]


# Prompts that waited


async def test_a_prompt_that_waited_is_answered_in_its_status_message(stack: Stack):
    prompt = stack.ask("Go")
    message = posted(stack, prompt, 0, "-# ⏳ next in line in this channel", control=True)
    reply_id = await left(stack, prompt, notes=[note(prompt, 0, message, "x")])
    stack.ollama.enqueue(say("Here you are."))
    async with stack.running_bot():
        await stack.shows("Here you are.")
        await stack.idle()
        assert stack.texts() == ["Here you are."]
        assert stack.replies()[0]["id"] == message["id"]
        assert_nothing_dangles(stack)
    assert row(stack, reply_id)["state"] == "complete"


async def test_prompts_that_waited_are_answered_in_their_order(stack: Stack):
    prompts = [stack.ask(f"Question {number}") for number in range(3)]
    for number, prompt in enumerate(prompts):
        await left(stack, prompt, words=f"Question {number}")
        stack.ollama.enqueue(say(f"Answer {number}"))
    async with stack.running_bot():
        await stack.answered(3)
        assert stack.texts() == ["Answer 0", "Answer 1", "Answer 2"]
    assert [chat.json["messages"][-1]["content"] for chat in stack.ollama.chats] == [
        f"⟦Ada⟧ Question {number}" for number in range(3)
    ]


async def test_a_new_prompt_is_answered_after_those_that_waited_and_knows_what_was_interrupted(stack: Stack):
    await left_in_line(stack)
    stack.discord.inject(method="GET", route=f"*/channels/{GENERAL_ID}/messages", delay=0.15)
    entering = asyncio.create_task(ask_when_ready(stack, "Fourth"))
    async with stack.running_bot():
        await entering
        await stack.answered(4)
    assert questions(stack) == ["Second", "Third", "Fourth"]
    contents = [message["content"] for message in talk(stack, 2)]
    assert contents[:2] == ["⟦Ada⟧ First", "As far as it came"]
    assert "⏳" not in "".join(stack.texts())


async def test_a_recovery_that_takes_long_holds_a_new_prompt_up_for_some_seconds_only(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("bot.generation.recovery_gate.HOLD_SECONDS", 0.1)
    await left_in_line(stack)
    stack.discord.inject(method="GET", route=f"*/channels/{GENERAL_ID}/messages", delay=0.8)
    entering = asyncio.create_task(ask_when_ready(stack, "Fourth"))
    async with stack.running_bot():
        await entering
        await stack.answered(4)
    assert questions(stack) == ["Fourth", "Second", "Third"]
    assert "not taken up in time" in caplog.text
    statuses = [body["content"] for _, body in stack.events if "content" in body and "my restart" in body["content"]]
    assert statuses, "it says what it waits for"


async def left_in_line(stack: Stack) -> None:
    """A killed process answered one prompt while two waited."""
    first = stack.ask("First")
    message = posted(stack, first, 0, f"As far as it came {CURSOR}")
    await left(stack, first, words="First", text="As far as it came", notes=[note(first, 0, message, "x")])
    for words in ("Second", "Third"):
        await left(stack, stack.ask(words), words=words)


async def ask_when_ready(stack: Stack, words: str) -> None:
    await stack.until(lambda: stack.bot is not None and stack.bot.is_ready())
    stack.ask(words)


def questions(stack: Stack) -> list[str]:
    """What the model was asked, in order."""
    return [chat.json["messages"][-1]["content"].removeprefix("⟦Ada⟧ ") for chat in stack.ollama.chats]


@pytest.mark.parametrize(("age", "attempts"), [(5000.0, 1), (5.0, 3)])
async def test_a_prompt_from_long_ago_or_begun_too_often_is_told(stack: Stack, age: float, attempts: int):
    prompt = stack.ask("Go")
    reply_id = await left(stack, prompt, age=age, attempts=attempts)
    async with stack.running_bot():
        assert stack.texts() == [TOLD]
        assert stack.ollama.chats == []
    stored = row(stack, reply_id)
    assert (stored["state"], stored["text"]) == ("interrupted", "")


async def test_a_question_that_was_deleted_meanwhile_is_not_answered(stack: Stack):
    prompt = stack.ask("Go")
    reply_id = await left(stack, prompt)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    async with stack.running_bot():
        assert stack.texts() == []
        assert stack.ollama.chats == []
    assert stack.rows(f"SELECT id FROM reply WHERE id = {reply_id}") == []  # forgotten


async def test_a_question_that_is_deleted_while_it_is_begun_again_is_not_answered(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    prompt = stack.ask("Go")
    reply_id = await left(stack, prompt)
    begin_again = Store.begin_again

    async def slowly(store: Store, reply_id: int) -> None:
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        await stack.until(lambda: stack.bot is not None and stack.bot.changes.was_deleted(int(prompt["id"])))
        await begin_again(store, reply_id)

    monkeypatch.setattr(Store, "begin_again", slowly)
    async with stack.running_bot():
        await stack.until(lambda: row(stack, reply_id)["is_open"] == 0)
        assert stack.texts() == []
        assert stack.ollama.chats == []


async def test_nothing_is_tried_that_permissions_forbid(stack: Stack):
    prompt, other = stack.ask("Go"), stack.ask("Go", channel=CODE_ID)
    await left(stack, prompt)
    message = posted(stack, other, 0, f"Half {CURSOR}")
    await left(stack, other, text="Half of it", notes=[note(other, 0, message, "Half")])
    for channel in (GENERAL_ID, CODE_ID):
        stack.world.deny(channel, BOT_ID, int(Permission.READ_MESSAGE_HISTORY | Permission.ADD_REACTIONS))
    stack.ollama.enqueue([*say("Here you are"), pause(0.3), *say(", at last.")])
    async with stack.running_bot():
        await stack.shows("Here you are, at last.")
        await stack.idle()
        assert stack.texts(CODE_ID) == [f"Half of it\n{INTERRUPTED}"]
    assert [each for each in stack.discord.log if each.status >= 400] == []


async def test_recovery_holds_nobody_up_and_is_never_refused(stack: Stack):
    channels = [stack.world.create_channel(f"room-{number}")["id"] for number in range(20)]
    for channel in channels:
        for number in range(5):
            prompt = stack.ask("Go", channel=channel)
            text = f"Half of {number}"
            message = posted(stack, prompt, 0, f"{text} {CURSOR}", control=number == 0)
            await left(stack, prompt, text=text, notes=[note(prompt, 0, message, text)])
    entering = asyncio.create_task(_answered_meanwhile(stack))
    async with stack.running_bot():
        await entering
        for channel in channels:
            assert stack.texts(channel) == [f"Half of {number}\n{INTERRUPTED}" for number in range(5)]
        assert_nothing_dangles(stack)
    assert stack.refused() == []


async def _answered_meanwhile(stack: Stack) -> None:
    """Ask as soon as the bot is ready; the answer comes while others are still being closed."""
    await stack.until(lambda: stack.bot is not None and stack.bot.is_ready())
    stack.ask("Meanwhile?")
    await stack.shows("Hello from the scripted model.")
    open_ones = sum(CURSOR in text for channel in stack.world.channels for text in stack.texts(channel))
    assert open_ones > 0


# /ask


def asked(stack: Stack) -> dict[str, Any]:
    """A command of a killed process: its interaction, and the loading message that Discord shows."""
    interaction = stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "What then?"})
    stack.world.interactions.respond(interaction.id, interaction.token, {"type": 5})
    return {"id": interaction.id, "channel_id": GENERAL_ID}


@pytest.fixture
async def asking(stack: Stack):
    async with stack.running_bot():
        await stack.until(lambda: stack.world.commands)
    return stack


async def test_an_ask_that_waited_is_answered_in_its_loading_message(asking: Stack):
    stack = asking
    prompt = asked(stack)
    await left(stack, prompt, kind=PromptKind.ASK)
    async with stack.running_bot():
        await stack.shows("Hello from the scripted model.")
        await stack.idle()
        assert stack.texts() == ["> What then?\nHello from the scripted model."]


async def test_an_ask_that_was_cut_is_closed_below_its_question(asking: Stack):
    stack = asking
    prompt = asked(stack)
    await left(stack, prompt, kind=PromptKind.ASK, text="Half of it")
    async with stack.running_bot():
        assert stack.texts() == [f"> What then?\nHalf of it\n{INTERRUPTED}"]


async def test_a_followup_under_way_is_found_by_its_interaction_even_if_the_journal_missed_it(asking: Stack):
    stack = asking
    prompt = asked(stack)
    token = stack.world.interactions.all[prompt["id"]].token
    original = stack.replies()[0]
    stack.world.interactions.edit(token, original["id"], {"content": "> What then?\nword0"})
    stack.world.interactions.follow_up(token, {"content": f"word300 {CURSOR}"})
    await left(stack, prompt, kind=PromptKind.ASK, text=LONG, notes=[note(prompt, 0, original, "x")])
    async with stack.running_bot():
        texts = stack.texts()
        assert len(texts) == 2
        assert texts[0].startswith("> What then?\nword0 word1")
        assert texts[1].endswith(f"word399\n{INTERRUPTED}")


def hidden(stack: Stack) -> dict[str, Any]:
    """A command that was used where the bot sees nothing."""
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.VIEW_CHANNEL))
    return asked(stack)


def token_of(stack: Stack, prompt: dict[str, Any]) -> str:
    return str(stack.world.interactions.all[prompt["id"]].token)


def kept_tokens(stack: Stack) -> list[str]:
    return [token for (token,) in stack.rows("SELECT token FROM prompt") if token]


async def test_an_ask_that_waited_where_the_bot_sees_nothing_is_answered_over_its_token(asking: Stack):
    stack = asking
    prompt = hidden(stack)
    await left(stack, prompt, kind=PromptKind.ASK, token=token_of(stack, prompt))
    async with stack.running_bot():
        await stack.shows("Hello from the scripted model.")
        await stack.idle()
        assert stack.texts() == ["> What then?\nHello from the scripted model."]
        assert kept_tokens(stack) == []
    assert [each for each in stack.discord.log if each.status >= 400] == []


async def test_an_ask_that_was_cut_where_the_bot_sees_nothing_is_closed_over_its_token(asking: Stack):
    stack = asking
    prompt = hidden(stack)
    token = token_of(stack, prompt)
    shown = pages(f"> What then?\n{LONG}")
    original = stack.replies()[0]
    stack.world.interactions.edit(token, original["id"], {"content": shown[0]})
    second = stack.world.interactions.follow_up(token, {"content": f"word300 {CURSOR}"})
    notes = [note(prompt, 0, original, shown[0]), note(prompt, 1, second, "word300")]
    await left(stack, prompt, kind=PromptKind.ASK, text=LONG, notes=notes, token=token)
    async with stack.running_bot():
        texts = stack.texts()
        assert len(texts) == 2
        assert texts[0].startswith("> What then?\nword0 word1")
        assert texts[1].endswith(f"word399\n{INTERRUPTED}")
        assert kept_tokens(stack) == []


async def test_an_ask_whose_token_is_dead_is_closed_in_the_channel_and_forgets_it(asking: Stack):
    stack = asking
    prompt = asked(stack)
    stack.world.interactions.expire(prompt["id"])
    await left(stack, prompt, kind=PromptKind.ASK, text="Half of it", token=token_of(stack, prompt))
    old = asked(stack)
    await left(stack, old, kind=PromptKind.ASK, text="Long ago", token=token_of(stack, old), age=1000)
    async with stack.running_bot():
        assert stack.texts() == [f"> What then?\n{text}\n{INTERRUPTED}" for text in ("Half of it", "Long ago")]
        assert kept_tokens(stack) == []
