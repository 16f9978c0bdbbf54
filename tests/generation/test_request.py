"""What the model gets of a turn, byte for byte, and that it gets the same ever after."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.conversation.records import PromptKind
from bot.parts import Attachment, Quote, QuoteKind, Text
from tests.generation.talking import Talk, talking
from tests.scripted_ollama import ScriptedOllama

REPLIES = "⟦quoted: what Grace wrote, which this message replies to⟧\n> "


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as server:
        yield server


@pytest.fixture
async def talk(tmp_path: Path, server: ScriptedOllama) -> AsyncIterator[Talk]:
    async with talking(tmp_path, server) as talk:
        yield talk


def contents(messages: list[dict[str, str]]) -> list[str]:
    return [message["content"] for message in messages if message["role"] != "system"]


async def test_quotes_and_attachments_of_the_prompt_and_of_earlier_turns_are_sent(talk: Talk) -> None:
    grace = Quote(QuoteKind.REPLY, "Grace", "It rains.", source_id=3)
    await talk.ask(10, grace, "Where?", Attachment("map.png"), reply="Here.")
    first = f"{REPLIES}It rains.\n⟦Ada⟧ Where?\n(attached, not visible to you: map.png)"
    assert contents(await talk.ask(11, "Sure?")) == [first, "Here.", "⟦Ada⟧ Sure?"]


async def test_a_command_is_sent_without_a_label(talk: Talk) -> None:
    await talk.ask(10, "Hi")
    [body] = await talk.ask(11, "Alone?", kind=PromptKind.ASK)
    assert body["prompt"] == "Alone?"


@pytest.mark.parametrize("source", [10, 20, 500], ids=["the question", "its copy", "the answer"])
async def test_the_turn_just_before_is_not_sent_twice(talk: Talk, source: int) -> None:
    await talk.ask(10, "Hi", reply="Hello", shown_in=500, copy_id=20)
    messages = await talk.ask(30, Quote(QuoteKind.REPLY, "Burble", "Hello", source, is_own=True), "Why?")
    assert contents(messages) == ["⟦Ada⟧ Hi", "Hello", "⟦Ada⟧ Why?"]


async def test_an_answer_from_further_back_is_quoted(talk: Talk) -> None:
    await talk.ask(10, "Hi", reply="Hello", shown_in=500)
    await talk.ask(11, "And?", reply="Nothing", shown_in=501)
    messages = await talk.ask(12, Quote(QuoteKind.REPLY, "Burble", "Hello", 500, is_own=True), "Why?")
    assert contents(messages)[-1] == ("⟦quoted: what you wrote, which this message replies to⟧\n> Hello\n⟦Ada⟧ Why?")


async def test_from_before_a_reset_the_last_answer_is_quoted(talk: Talk) -> None:
    await talk.ask(10, "Hi", reply="Hello", shown_in=500)
    await talk.store.reset(1_100, at_message_id=10)
    messages = await talk.ask(11, Quote(QuoteKind.REPLY, "Burble", "Hello", 500, is_own=True), "Why?")
    assert contents(messages) == ["⟦quoted: what you wrote, which this message replies to⟧\n> Hello\n⟦Ada⟧ Why?"]


async def test_what_a_thread_began_with_stands_at_its_beginning_only(talk: Talk) -> None:
    starter = Quote(QuoteKind.STARTER, "Grace", "Plans", source_id=1)
    first = "⟦quoted: what Grace wrote, which this thread began with⟧\n> Plans\n⟦Ada⟧ Good?"
    assert contents(await talk.ask(10, starter, "Good?")) == [first]
    assert contents(await talk.ask(11, starter, "Sure?")) == [first, "Yes.", "⟦Ada⟧ Sure?"]


async def test_long_quotes_are_cut_to_a_quarter_of_the_room_and_stay_so(tmp_path: Path, server: ScriptedOllama) -> None:
    quotes = [Quote(QuoteKind.FORWARD, "Grace", letter * 4000, index) for index, letter in enumerate("abc", 1)]
    async with talking(tmp_path, server, num_ctx=2048) as talk:
        [asked] = contents(await talk.ask(10, *quotes, "Well?"))
    assert asked.count("⟦the quote is cut here⟧") == 3
    assert all(asked.count(letter * 200) for letter in "abc")
    assert len(asked) < 3 * 2048 * 3 // 16 + 100
    async with talking(tmp_path, server, num_ctx=8192) as talk:  # a larger window later brings nothing back
        assert contents(await talk.ask(11, "So?"))[0] == asked


async def test_a_quote_is_cut_at_what_a_message_holds(talk: Talk) -> None:
    [asked] = contents(await talk.ask(10, Quote(QuoteKind.REPLY, "Grace", "x" * 2001, 3), "Well?"))
    assert asked == f"{REPLIES}{'x' * 2000}\n⟦the quote is cut here⟧\n⟦Ada⟧ Well?"


async def test_the_store_keeps_what_was_sent_and_the_text_once(talk: Talk, tmp_path: Path) -> None:
    await talk.ask(10, Quote(QuoteKind.REPLY, "Grace", "y" * 3000, 3), "Grüße <|im_start|>")
    with sqlite3.connect(tmp_path / "burble.db") as database:
        [(parts, label)] = database.execute("SELECT parts, label FROM prompt").fetchall()
    assert label == "Ada"
    assert parts.count("Grüße <|im_start|>") == 1
    assert "y" * 2000 in parts
    assert "y" * 2001 not in parts


async def test_a_namesake_gets_a_number_and_nobody_is_renumbered(tmp_path: Path, server: ScriptedOllama) -> None:
    async with talking(tmp_path, server) as talk:
        await talk.ask(10, "I", name="Ada", user=1)
        await talk.ask(11, "Me too", name="ada", user=2)
        await talk.ask(12, "Ada here", name="Ada", user=1)
        talk.store.erasure.note_deleted([10, 12])
        await talk.store.erasure.settle()
    async with talking(tmp_path, server) as talk:
        assert contents(await talk.ask(13, "Still me", name="ada", user=2))[0::2] == [
            "⟦ada (2)⟧ Me too",
            "⟦ada (2)⟧ Still me",
        ]
        assert contents(await talk.ask(14, "And I", name="Ada", user=1))[0::2] == [
            "⟦ada (2)⟧ Me too",
            "⟦ada (2)⟧ Still me",
            "⟦Ada⟧ And I",
        ]


async def test_a_missing_text_is_said(talk: Talk) -> None:
    quote = Quote(QuoteKind.REPLY, "Grace", "", 3, missing="it was deleted")
    [asked] = contents(await talk.ask(10, quote, Text("What was it?"), guild=None))
    head, words = asked.split("\n")
    assert head.endswith("which this message replies to; its words are missing: it was deleted⟧")
    assert words == "What was it?"


async def test_a_quote_that_was_erased_while_it_waited_is_neither_sent_nor_kept(talk: Talk, tmp_path: Path) -> None:
    prompt = talk.prompt(10, Quote(QuoteKind.REPLY, "Grace", "a secret", 3), "Well?")
    reply_id = await talk.store.take_in(prompt, model="", at=1.0)
    assert reply_id is not None
    talk.store.erasure.note_deleted([3])
    await talk.store.erasure.settle()
    assert "secret" not in str(await talk.answer(prompt, reply_id))
    with sqlite3.connect(tmp_path / "burble.db") as database:
        assert "secret" not in str(database.execute("SELECT parts FROM prompt").fetchall())
