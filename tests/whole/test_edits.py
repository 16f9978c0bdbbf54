"""Editing is asking again: what a question says now is what the model is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.conversation import erasure
from bot.generation.session import Phase
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, LINUS_ID
from bot.recovery import reruns
from tests.scripted_ollama import error, hang, hold, say
from tests.whole.stack import STOP, Stack, running, servers, talk
from tests.whole.test_forgetting import asked, erased, rows, sent


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(reruns, "QUIET_SECONDS", 0.05)


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


def edit(stack: Stack, message: dict, text: str, user: str = ADA_ID) -> None:
    stack.world.edit(user, GENERAL_ID, message["id"], text)


async def test_an_older_question_is_remembered_with_its_new_words(stack: Stack):
    prompt, _ = await asked(stack, "Question-oldish", "Answer-one")
    await asked(stack, "Another", "Answer-two")
    edit(stack, prompt, f"<@{BOT_ID}> Question-newish")
    request = await sent(stack)
    assert "oldish" not in request
    assert "Question-newish" in request
    assert "Answer-one" in request
    assert len(stack.ollama.chats) == 3
    await erased(stack, "Question-oldish")


async def test_a_question_that_waits_is_asked_with_its_new_words_in_its_old_place(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue(say("one"), hold(go))
    stack.ask("first")
    await stack.until(lambda: stack.ollama.chats)
    waiting = stack.ask("second-oldish")
    stack.ask("third", user=LINUS_ID)
    await stack.until(lambda: len(list(stack.services.queue)) == 3)
    edit(stack, waiting, f"<@{BOT_ID}> second-newish")
    await asyncio.sleep(0.05)
    go.set()
    await stack.answered(3)
    assert [talk(stack, index)[-1]["content"] for index in range(3)] == [
        "⟦Ada⟧ first",
        "⟦Ada⟧ second-newish",
        "⟦Linus⟧ third",
    ]
    assert "oldish" not in str([chat.json for chat in stack.ollama.chats])
    await erased(stack, "second-oldish")


async def test_a_question_that_is_being_answered_is_asked_anew_in_place(stack: Stack, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "bot.generation.job")
    go = asyncio.Event()
    stack.ollama.enqueue(say("An answer to the old words"), hang())
    prompt = stack.ask("oldish")
    stack.ask("later", user=LINUS_ID)
    await stack.shows("An answer to the old words")
    stack.ollama.enqueue(say("An answer to the new ones"), hold(go))
    edit(stack, prompt, f"<@{BOT_ID}> newish, with a typpo")
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    await stack.until(lambda: len(stack.ollama.chats) == 2)
    assert stack.ollama.chats[0].closed.is_set()
    assert talk(stack, 1)[-1]["content"] == "⟦Ada⟧ newish"
    await stack.shows("An answer to the new ones")
    go.set()
    texts = await stack.answered(2)
    assert texts == ["An answer to the new ones", "Hello from the scripted model."]
    assert talk(stack, 2)[0]["content"] == "⟦Ada⟧ newish"
    assert stored(stack) == [("complete", "An answer to the new ones"), ("complete", "Hello from the scripted model.")]
    await erased(stack, "old words", "oldish")
    assert "first token 0." in caplog.text
    assert "first token -" not in caplog.text


@pytest.mark.parametrize(("old", "new"), [(1, 1), (3, 1), (1, 3), (3, 2)])
async def test_the_latest_question_is_answered_anew_in_its_messages(stack: Stack, old: int, new: int):
    await asked(stack, "Something", "Else.")
    prompt, before = await asked(stack, "oldish", long_text("old", old))
    assert len(before) == old
    stack.ollama.enqueue(say(long_text("new", new)))
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    await stack.until(lambda: "oldness" not in str(stack.texts()) and len(stack.replies()) == 1 + new)
    await stack.idle()
    after = stack.replies()[1:]
    shared = min(old, new)
    assert [message["id"] for message in after][:shared] == [message["id"] for message in before][:shared]
    assert all("newness" in message["content"] for message in after)
    assert talk(stack, -1)[-1]["content"] == "⟦Ada⟧ newish"
    assert "oldness" not in str(stack.ollama.chats[-1].json)
    request = await sent(stack)
    assert "newness" in request
    assert "oldness" not in request
    assert stored(stack)[1] == ("complete", long_text("new", new))
    await erased(stack, "oldness", "oldish")


async def test_messages_that_were_too_many_are_not_taken_for_deleted_after_a_restart(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, before = await asked(stack, "oldish", long_text("old", 3))
            stack.ollama.enqueue(say("A new answer"))
            edit(stack, prompt, f"<@{BOT_ID}> newish")
            await stack.until(lambda: stack.texts() == ["A new answer"])
            await stack.idle()
            assert rows(stack, "SELECT message_id FROM reply_message") == [(int(before[0]["id"]),)]
        async with stack.running_bot():
            assert "A new answer" in await sent(stack)


async def test_an_answer_that_is_older_or_not_the_latest_stays(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    first, _ = await asked(stack, "one", "First answer")
    second, _ = await asked(stack, "two", "Second answer")
    edit(stack, first, f"<@{BOT_ID}> one, newish")
    await asyncio.sleep(0.1)
    monkeypatch.setattr(reruns, "ANSWERED_WITHIN_SECONDS", -1.0)
    edit(stack, second, f"<@{BOT_ID}> two, newish")
    await asyncio.sleep(0.1)
    assert len(stack.ollama.chats) == 2
    assert stack.texts() == ["First answer", "Second answer"]
    request = await sent(stack)
    assert "one, newish" in request
    assert "two, newish" in request


async def test_an_answer_that_runs_is_edited_and_fails_in_words(stack: Stack):
    stack.ollama.enqueue(say("An answer to the old words"), hang())
    prompt = stack.ask("oldish")
    await stack.shows("old words")
    stack.ollama.enqueue(error("it broke"))
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    await stack.shows("⚠️")
    [text] = await stack.answered()
    assert "old words" not in text


async def test_stopping_and_deleting_work_while_it_is_written_anew(stack: Stack):
    prompt, _ = await asked(stack, "oldish", "Old answer")
    stack.ollama.enqueue(say("Half of the new"), hang())
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    await stack.shows("Half of the new")
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await stack.shows("the question was deleted")
    await stack.idle()
    assert "newish" not in await sent(stack)
    await erased(stack, "newish", "Half of the new")


async def test_each_restart_counts_in_the_askers_rate(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=3) as stack:
        stack.ollama.enqueue(say("Answer 1"))
        prompt = stack.ask("Question 1")
        await stack.answered()
        for number in (2, 3):
            stack.ollama.enqueue(say(f"Answer {number}"))
            edit(stack, prompt, f"<@{BOT_ID}> Question {number}")
            await stack.shows(f"Answer {number}")
            await stack.idle()
        edit(stack, prompt, f"<@{BOT_ID}> Question 4")
        await stack.shows("⚠️")
        assert len(stack.ollama.chats) == 3
        assert stack.texts()[0] == "Answer 3"


async def test_an_edit_while_pages_go_out_is_answered_after_them(stack: Stack):
    stack.ollama.enqueue(say(long_text("old", 4)))
    prompt = stack.ask("oldish")
    await stack.shows("oldness")
    stack.ollama.enqueue(say("A new answer"))
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    await stack.until(lambda: stack.texts() == ["A new answer"])
    await stack.idle()
    assert stored(stack) == [("complete", "A new answer")]


async def test_several_edits_while_pages_go_out_are_one_restart(tmp_path: Path):
    async with running(tmp_path, user_prompts_per_minute=3) as stack:
        stack.ollama.enqueue(say(long_text("old", 4)))
        prompt = stack.ask("oldish")
        await stack.shows("oldness")
        stack.discord.latency = 0.1
        for number in range(3):
            edit(stack, prompt, f"<@{BOT_ID}> newish {number}")
            await asyncio.sleep(0.08)
        assert [session.phase for session in stack.services.queue] == [Phase.DELIVERING]
        stack.discord.latency = 0.0
        stack.ollama.enqueue(say("A new answer"))
        await stack.until(lambda: stack.texts() == ["A new answer"])
        await asyncio.sleep(0.1)
        await stack.idle()
        assert stack.texts() == ["A new answer"]
        assert len(stack.ollama.chats) == 2
        assert talk(stack, 1)[-1]["content"] == "⟦Ada⟧ newish 2"


async def test_a_stop_after_an_edit_stands_and_an_edit_after_a_stop_asks_anew(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reruns, "QUIET_SECONDS", 0.5)
    stack.ollama.enqueue(say("Half"), hang())
    prompt = stack.ask("oldish")
    await stack.shows("Half")
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    await stack.until(lambda: stack.services.reruns._timers)
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], STOP)
    await stack.shows("stopped by Ada")
    await stack.until(lambda: not stack.services.reruns._timers)
    await asyncio.sleep(0.1)
    await stack.idle()
    assert len(stack.ollama.chats) == 1
    stack.ollama.enqueue(say("Whole"))
    edit(stack, prompt, f"<@{BOT_ID}> newest")
    await stack.until(lambda: stack.texts() == ["Whole"])
    assert talk(stack, 1)[-1]["content"] == "⟦Ada⟧ newest"


@pytest.mark.parametrize("when", ["waits", "runs", "goes out", "answered"])
async def test_a_question_that_says_nothing_any_more_is_as_good_as_deleted(stack: Stack, when: str):
    go = asyncio.Event()
    if when == "waits":
        stack.ollama.enqueue(hold(go), say("Another"))
        stack.ask("first", user=LINUS_ID)
        await stack.until(lambda: stack.ollama.chats)
    else:
        texts = {"runs": [say("Half"), hang()], "goes out": [say(long_text("old", 4))]}
        stack.ollama.enqueue(*texts.get(when, [say("Whole")]))
    prompt = stack.ask("secret")
    await stack.shows({"waits": "next in line", "runs": "Half", "goes out": "oldness"}.get(when, "Whole"))
    if when == "answered":
        await stack.idle()
    edit(stack, prompt, f"<@{BOT_ID}>")
    await asyncio.sleep(0.1)
    go.set()
    await stack.idle()
    asked_for = [talk(stack, index)[-1]["content"] for index in range(len(stack.ollama.chats))]
    assert asked_for == ["⟦Linus⟧ first" if when == "waits" else "⟦Ada⟧ secret"]
    assert "secret" not in await sent(stack)
    await erased(stack, "secret")


async def test_news_about_an_edited_mention_leave_the_question_before_it(stack: Stack):
    stack.say("What is a lyre?")
    mention = stack.say("@Burbel")
    edit(stack, mention, f"<@{BOT_ID}>")
    await stack.answered()
    pinned = dict(stack.world.state.message(GENERAL_ID, mention["id"])) | {"pinned": True}
    stack.discord.dispatch("MESSAGE_UPDATE", pinned)
    await asyncio.sleep(0.1)
    assert "What is a lyre?" in await sent(stack)
    assert len(stack.ollama.chats) == 2


async def test_a_kill_while_it_is_written_anew_leaves_words(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, _ = await asked(stack, "oldish", "Old answer")
            stack.ollama.enqueue(hang())
            edit(stack, prompt, f"<@{BOT_ID}> newish")
            await stack.until(lambda: len(stack.ollama.chats) == 2)
        async with stack.running_bot():
            await stack.shows("interrupted")
            await stack.idle()
            request = await sent(stack)
            assert "newish" in request
            assert "oldish" not in request


async def test_a_kill_while_it_is_written_anew_mixes_no_pages_of_both(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, before = await asked(stack, "oldish", long_text("old", 4))
            stack.ollama.enqueue(say(long_text("new", 2)), hang())
            edit(stack, prompt, f"<@{BOT_ID}> newish")
            await stack.shows("newness")
        assert len(before) == 4
        async with stack.running_bot():
            await stack.shows("interrupted")
            await stack.idle()
            assert "oldness" not in str(stack.texts())
            request = await sent(stack)
            assert "newness" in request
            assert "oldness" not in request


@pytest.mark.parametrize("when", ["stored", "read"])
async def test_an_edit_while_its_question_is_taken_in_counts(tmp_path: Path, when: str):
    async with running(tmp_path, user_prompts_per_minute=1) as stack:
        stack.discord.latency = 0.05
        source = stack.say("The tide is at five.", user=LINUS_ID) if when == "read" else None
        if source is not None:
            source = stack.world.create_thread(LINUS_ID, GENERAL_ID, "tides", message_id=source["id"])
        channel = source["id"] if source is not None else GENERAL_ID
        prompt = stack.ask("oldish", channel=channel)
        stack.world.edit(ADA_ID, channel, prompt["id"], f"<@{BOT_ID}> middling")
        await asyncio.sleep(0.02 if when == "read" else 0)
        stack.world.edit(ADA_ID, channel, prompt["id"], f"<@{BOT_ID}> newish")
        await stack.answered(1, channel)
        assert [talk(stack, index)[-1]["content"].splitlines()[-1] for index in range(len(stack.ollama.chats))] == [
            "⟦Ada⟧ newish"
        ]
        assert len(stack.replies(channel)) == 1
        await erased(stack, "oldish", "middling")


async def test_edits_in_one_breath_count_in_their_order(stack: Stack):
    for number in range(5):
        prompt = stack.ask(f"{number}: oldish")
        for edited in range(4):
            edit(stack, prompt, f"<@{BOT_ID}> {number}: newish {edited}")
            await asyncio.sleep(0.002 * (number % 3))
        await stack.answered(number + 1)
        await asyncio.sleep(0.1)
        await stack.idle()
        assert talk(stack, -1)[-1]["content"] == f"⟦Ada⟧ {number}: newish 3"


def long_text(word: str, pages: int) -> str:
    return "\n\n".join(f"{word}ness {number} " + "word " * 60 for number in range(6 * pages - 3)).rstrip()


def stored(stack: Stack) -> list[tuple[str, str]]:
    return [tuple(row) for row in rows(stack, "SELECT state, text FROM reply ORDER BY id")]


async def test_a_mention_that_is_added_makes_a_question(stack: Stack):
    message = stack.say("What is a lyre?")
    await asyncio.sleep(0.02)
    edit(stack, message, f"<@{BOT_ID}> What is a lyre?")
    await stack.answered()
    assert stack.replies()[0]["message_reference"]["message_id"] == message["id"]
    edit(stack, message, "What is a lyre?")  # taking it out withdraws nothing
    assert "What is a lyre?" in await sent(stack)
    assert len(stack.ollama.chats) == 2


async def test_a_mention_that_is_added_too_late_makes_none(stack: Stack):
    message = stack.say("What is a lyre?")
    stored = stack.world.state.message(GENERAL_ID, message["id"])
    told = stored | {"content": f"<@{BOT_ID}> What?", "mentions": [stack.world.bot_user]}
    old_id = str(int(message["id"]) - (200_000 << 22))
    stack.discord.dispatch("MESSAGE_UPDATE", told | {"id": old_id, "edited_timestamp": stored["timestamp"]})
    await asyncio.sleep(0.1)
    assert not stack.ollama.chats


@pytest.mark.parametrize("what", ["a preview", "a pin", "the same words", "no content"])
async def test_what_is_no_edit_changes_nothing(stack: Stack, what: str):
    prompt, _ = await asked(stack, "Question", "Answer")
    stored = dict(stack.world.state.message(GENERAL_ID, prompt["id"]))
    if what == "a preview":
        stack.discord.dispatch("MESSAGE_UPDATE", stored | {"content": "", "embeds": [{"type": "link"}]})
    elif what == "a pin":
        stack.discord.dispatch("MESSAGE_UPDATE", stored | {"pinned": True})
    elif what == "the same words":
        edit(stack, prompt, prompt["content"])
    else:
        stack.discord.dispatch("MESSAGE_UPDATE", stored | {"content": "", "edited_timestamp": stored["timestamp"]})
    await asyncio.sleep(0.05)
    assert talk(stack, -1)[0]["content"] == "⟦Ada⟧ Question"
    assert "Question" in await sent(stack)
    assert len(stack.ollama.chats) == 2


async def test_an_edit_keeps_what_the_question_refers_to(stack: Stack):
    source = stack.say("A message to be quoted", user=LINUS_ID)
    prompt, _ = await asked(stack, "oldish", "Well.", reply_to=source["id"])
    await asked(stack, "Another", "Yes.")
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    request = await sent(stack)
    assert "A message to be quoted" in request
    assert "newish" in request
