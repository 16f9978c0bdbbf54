"""`/ask` from end to end: deferred, streamed over the token, on the channel's route once the token is dead."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.conversation.records import ReplyState
from bot.conversation.schema import prompt, reply
from bot.delivery import transport
from bot.errors import StoreError
from bot.generation.session import StopCause
from bot.generation.status import StatusTiming
from bot.parts import Text
from bot.playground.loopback.faults import Fault
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from bot.playground.loopback.world import WorldError
from tests.scripted_ollama import hang, hold, model_entry, say, token
from tests.whole.stack import STOP, Stack, running

QUOTE = "> Why is the sky blue?"
WEBHOOK = "/webhooks/"


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        await stack.until(lambda: stack.world.commands)
        yield stack


def ask(stack: Stack, prompt: str = "Why is the sky blue?", *, user: str = ADA_ID, channel: str = GENERAL_ID, **more):
    return stack.world.run_command(user, channel, ["ask"], {"prompt": prompt, **more})


async def finished(stack: Stack, count: int = 1, channel: str = GENERAL_ID) -> list[str]:
    """Wait until *count* messages of the bot hold text and nothing runs; a loading message holds none."""
    await stack.until(lambda: len([text for text in stack.texts(channel) if text]) >= count)
    await stack.idle()
    return stack.texts(channel)


async def stored(stack: Stack) -> list[dict[str, Any]]:
    joined = select(prompt.c.kind, prompt.c.author_name, prompt.c.parts.label("asked"), reply).join_from(reply, prompt)
    database = stack.services.store._database
    return [dict(row) for row in await database.run(lambda c: c.execute(joined).mappings().all())]


def edits(stack: Stack, part: str) -> list[Any]:
    return [record for record in stack.discord.log if record.method in {"PATCH", "POST"} and part in record.path]


async def test_the_answer_stands_under_the_quoted_question_and_the_store_keeps_only_the_models_words(stack: Stack):
    stack.ollama.enqueue(say("Rayleigh scattering, that is why."))
    interaction = ask(stack)
    [text] = await finished(stack)
    assert text == f"{QUOTE}\nRayleigh scattering, that is why."
    [message] = stack.replies()
    assert message["interaction_metadata"]["id"] == interaction.id
    assert not message["flags"] & 64
    [row] = await stored(stack)
    assert row["kind"] == "ask"
    assert row["asked"] == (Text("Why is the sky blue?"),)
    assert row["text"] == "Rayleigh scattering, that is why."
    assert row["state"] == ReplyState.COMPLETE


async def test_it_goes_through_generate_without_any_history_and_leaves_none(stack: Stack):
    stack.ollama.enqueue(say("Hello Ada"))
    stack.ask("My name is Ada")
    await finished(stack)
    stack.ollama.enqueue(say("An ask"))
    ask(stack)
    await finished(stack, 2)
    request = stack.ollama.chats[-1]
    assert request.path.endswith("/api/generate")
    assert request.json["prompt"] == "Why is the sky blue?"
    assert "Hello Ada" not in str(request.json)
    assert request.json["options"]["num_ctx"] == 8192
    stack.ask("And now?")
    await finished(stack, 3)
    assert "An ask" not in str(stack.ollama.chats[-1].json)
    assert "Hello Ada" in str(stack.ollama.chats[-1].json)


async def test_it_is_deferred_at_once_and_streamed_over_the_token(stack: Stack):
    rest = asyncio.Event()
    stack.ollama.enqueue([*say("The beginning"), hold(rest), *say(" and the end")])
    ask(stack)
    await stack.shows("The beginning")
    states = [event["state"] for name, event in stack.events if name == "INTERACTION_STATE"]
    assert states[:2] == ["sent", "deferred"]
    rest.set()
    await stack.shows("and the end")
    await stack.idle()
    assert edits(stack, f"{WEBHOOK}{BOT_ID}/")
    assert edits(stack, f"/channels/{GENERAL_ID}/messages") == []
    assert stack.refused() == []


async def test_it_does_not_wait_for_the_channels_chat(stack: Stack):
    stack.ollama.enqueue([*say("Chat goes on"), hang()])
    stack.ask("Write a novel")
    await stack.shows("Chat goes on")
    stack.ollama.enqueue(say("Asked and answered"))
    ask(stack)
    await stack.shows("Asked and answered")
    assert not stack.ollama.chats[0].closed.is_set()


async def test_a_refused_token_moves_the_answer_to_the_channels_route(stack: Stack):
    rest = asyncio.Event()
    stack.ollama.enqueue([*say("Before"), hold(rest), *say(" and after the token died")])
    interaction = ask(stack)
    await stack.shows("Before")
    stack.world.expire_interaction(interaction.id)
    rest.set()
    await stack.shows("after the token died")
    await stack.idle()
    assert stack.texts() == [f"{QUOTE}\nBefore and after the token died"]
    assert [record.status for record in edits(stack, f"/channels/{GENERAL_ID}/messages/{stack.replies()[0]['id']}")][
        -1:
    ] == [200]
    [row] = await stored(stack)
    assert row["text"] == "Before and after the token died"


async def test_from_minute_fourteen_on_the_channels_route_is_used_before_the_token_dies(stack: Stack, monkeypatch):
    rest = asyncio.Event()
    stack.ollama.enqueue([*say("Early"), hold(rest), *say(" and late")])
    ask(stack)
    await stack.shows("Early")
    await stack.until(lambda: not stack.discord.pending)
    by_token = len(edits(stack, WEBHOOK))
    assert transport.TOKEN_SECONDS == 14 * 60
    monkeypatch.setattr(transport, "TOKEN_SECONDS", 0)
    rest.set()
    await stack.shows("and late")
    await stack.idle()
    assert stack.texts() == [f"{QUOTE}\nEarly and late"]
    assert len(edits(stack, WEBHOOK)) == by_token
    assert edits(stack, f"/channels/{GENERAL_ID}/messages/{stack.replies()[0]['id']}")


async def test_a_long_answer_goes_on_in_further_messages_and_only_the_first_has_the_quote(stack: Stack):
    words = " ".join(f"word{i}" for i in range(700))
    stack.ollama.enqueue([token(words)])
    ask(stack)
    texts = await finished(stack, 3)
    assert texts[0].startswith(f"{QUOTE}\nword0 ")
    assert all(len(text) <= 2000 for text in texts)
    assert not any(text.startswith(">") for text in texts[1:])
    assert " ".join(text.removeprefix(QUOTE).strip() for text in texts) == words


async def test_the_asker_stops_it_with_a_reaction_and_the_connection_closes(stack: Stack):
    stack.ollama.enqueue([*say("Half of it"), hang()])
    ask(stack)
    await stack.shows("Half of it")
    [message] = stack.replies()
    stack.world.react(ADA_ID, GENERAL_ID, message["id"], STOP)
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    text = await stack.shows("stopped by Ada")
    assert text.startswith(f"{QUOTE}\nHalf of it")
    await stack.idle()
    [row] = await stored(stack)
    assert row["state"] == ReplyState.STOPPED
    assert row["text"] == "Half of it"


@pytest.mark.parametrize(("user", "name"), [(ADA_ID, "Ada"), (GRACE_ID, "Grace")])
async def test_the_asker_and_moderators_stop_it_with_the_command(stack: Stack, user: str, name: str):
    stack.ollama.enqueue([*say("Half of it"), hang()])
    ask(stack)
    await stack.shows("Half of it")
    stack.world.run_command(user, GENERAL_ID, ["stop"], {})
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.shows(f"stopped by {name}")


async def test_others_cannot_stop_it(stack: Stack):
    stack.ollama.enqueue([*say("Half of it"), hang()])
    ask(stack)
    await stack.shows("Half of it")
    stack.world.run_command(LINUS_ID, GENERAL_ID, ["stop"], {})
    said = await stack.until(
        lambda: [m["content"] for m in stack.world.messages(GENERAL_ID, LINUS_ID) if m["flags"] & 64]
    )
    assert said == ["Only who asked, or who can manage messages here, can stop that."]
    assert not stack.ollama.chats[-1].closed.is_set()


async def test_it_can_be_stopped_before_the_first_token(stack: Stack):
    stack.ollama.enqueue([hang()])
    ask(stack)
    await stack.shows("waiting for")
    assert stack.texts()[0].startswith(QUOTE)
    stack.world.run_command(ADA_ID, GENERAL_ID, ["stop"], {})
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    text = await stack.shows("stopped by Ada")
    assert "waiting" not in text


@pytest.mark.parametrize("how", ["a reaction", "deleting it"])
async def test_the_loading_message_can_stop_it_too(stack: Stack, how: str):
    responder = stack.services.responder
    responder._options = replace(responder._options, timing=StatusTiming(status_after=60.0))
    stack.ollama.enqueue([hang()])
    ask(stack)
    await stack.until(lambda: stack.ollama.chats)
    [loading] = stack.replies()
    assert loading["content"] == ""
    if how == "a reaction":
        stack.world.react(ADA_ID, GENERAL_ID, loading["id"], STOP)
    else:
        stack.world.delete(GRACE_ID, GENERAL_ID, loading["id"])
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.idle()
    assert stack.texts() == ([f"{QUOTE}\n⏹️ stopped by Ada"] if how == "a reaction" else [])


async def test_a_token_that_dies_before_the_first_word_costs_no_second_message(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue([hold(go), *say("At last")])
    stack.discord.faults.append(
        Fault("PATCH", "/webhooks/*", times=-1, status=401, body={"code": 50027, "message": "x"})
    )
    ask(stack)
    await stack.until(lambda: stack.ollama.chats)
    go.set()
    await stack.shows("At last")
    await stack.idle()
    assert stack.texts() == [f"{QUOTE}\nAt last"]


async def test_a_name_that_can_be_no_model_is_refused_even_with_ollama_down(stack: Stack):
    await stack.ollama.stop()
    ask(stack, model="`x` @everyone")
    [said] = await stack.until(lambda: [m for m in stack.world.messages(GENERAL_ID, ADA_ID) if m["flags"] & 64])
    assert "`ˋxˋ @everyone` is not installed" in said["content"]


async def test_deleting_the_answer_stops_it(stack: Stack):
    stack.ollama.enqueue([*say("Half of it"), hang()])
    ask(stack)
    await stack.shows("Half of it")
    [message] = stack.replies()
    stack.world.delete(GRACE_ID, GENERAL_ID, message["id"])
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.idle()
    assert stack.replies() == []


async def test_another_model_answers_when_asked_to(stack: Stack):
    ask(stack, model="qwen3:8b")
    await finished(stack)
    assert stack.ollama.chats[-1].json["model"] == "qwen3:8b"
    [row] = await stored(stack)
    assert row["model"] == "qwen3:8b"
    stack.ask("And here?")
    await finished(stack, 2)
    assert stack.ollama.chats[-1].json["model"] == "llama3.2"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("qwen", "Did you mean `qwen3:8b`?"),
        ("nomic-embed-text", "cannot answer"),
        ("zzz", "Installed: `llama3.2:latest`"),
    ],
)
async def test_a_model_that_cannot_answer_is_refused_in_words_that_only_the_asker_sees(stack: Stack, model, words):
    stack.ollama.models.append(model_entry("nomic-embed-text:latest", capabilities=["embedding"]))
    ask(stack, model=model)
    [said] = await stack.until(lambda: [m for m in stack.world.messages(GENERAL_ID, ADA_ID) if m["flags"] & 64])
    assert words in said["content"]
    assert stack.ollama.chats == []


async def test_ollama_down_ends_in_its_sentence_under_the_question(stack: Stack):
    await stack.ollama.stop()
    ask(stack, model="qwen3:8b")
    [text] = await finished(stack)
    assert text.startswith(f"{QUOTE}\n⚠️ I cannot reach Ollama")


async def test_a_failing_store_costs_the_memory_and_not_the_answer(stack: Stack, monkeypatch):
    async def refuse(*_: object, **__: object) -> int:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(stack.services.store, "take_in", refuse)
    ask(stack)
    [text] = await finished(stack)
    assert text == f"{QUOTE}\nHello from the scripted model."


async def test_markup_and_mentions_in_the_question_are_shown_as_typed_and_ping_nobody(stack: Stack):
    stack.ollama.enqueue(say("Fine"))
    ask(stack, f"is **this** ok, <@{GRACE_ID}> @everyone\n# really <@{BOT_ID}>")
    [text] = await finished(stack)
    first = text.splitlines()[0]
    assert "\\*\\*this\\*\\*" in first
    assert "@everyone" not in first
    assert "<@" not in text
    [message] = stack.replies()
    assert message["mentions"] == []
    assert message["mention_everyone"] is False
    assert "<@" not in stack.ollama.chats[-1].json["prompt"]
    assert "# really" in stack.ollama.chats[-1].json["prompt"]


async def test_a_question_of_nothing_but_the_bots_name_is_answered_in_words(stack: Stack):
    ask(stack, f"<@{BOT_ID}>")
    [said] = await stack.until(lambda: [m for m in stack.world.messages(GENERAL_ID, ADA_ID) if m["flags"] & 64])
    assert "no question" in said["content"]


async def test_a_very_long_question_is_quoted_short_and_sent_whole(stack: Stack):
    stack.ollama.enqueue(say("Fine"))
    question = "why " * 1000
    ask(stack, question)
    [text] = await finished(stack)
    assert text.splitlines()[1] == "Fine"
    assert text.splitlines()[0].endswith("…")
    assert len(text) < 300
    assert stack.ollama.chats[-1].json["prompt"] == question.strip()


async def test_it_works_in_a_dm(stack: Stack):
    dm = stack.world.open_dm(ADA_ID)
    stack.ollama.enqueue(say("Privately"))
    ask(stack, channel=dm["id"])
    assert await finished(stack, channel=dm["id"]) == [f"{QUOTE}\nPrivately"]


async def test_it_works_where_the_bot_may_not_write_and_puts_no_control_there(stack: Stack):
    stack.world.deny(CODE_ID, BOT_ID, Permission.SEND_MESSAGES | Permission.ADD_REACTIONS)
    go = asyncio.Event()
    stack.ollama.enqueue([*say("Over the token"), hold(go)])
    ask(stack, channel=CODE_ID)
    await stack.shows("Over the token", CODE_ID)
    await asyncio.sleep(0.1)
    go.set()
    assert await finished(stack, channel=CODE_ID) == [f"{QUOTE}\nOver the token"]
    assert not [record for record in stack.discord.log if "/reactions/" in record.path]


async def test_who_may_not_write_there_cannot_make_the_bot_write(stack: Stack):
    stack.world.deny(CODE_ID, LINUS_ID, Permission.SEND_MESSAGES)
    try:
        ask(stack, user=LINUS_ID, channel=CODE_ID)
    except WorldError:
        return  # the client offers no command there at all
    [said] = await stack.until(lambda: [m for m in stack.world.messages(CODE_ID, LINUS_ID) if m["flags"] & 64])
    assert "Only those who can write here" in said["content"]
    assert stack.ollama.chats == []


async def test_a_shutdown_closes_an_ask_in_words_and_keeps_its_quote(stack: Stack):
    stack.ollama.enqueue([*say("Half of it"), hang()])
    ask(stack)
    await stack.shows("Half of it")
    await stack.services.responder.shutdown(0.0)
    text = await stack.shows("shut down")
    assert text.startswith(f"{QUOTE}\nHalf of it")


async def test_while_shutting_down_a_new_ask_is_refused_in_words(stack: Stack):
    stack.services.queue.close(StopCause(": the bot was shut down"))
    ask(stack)
    [text] = await finished(stack)
    assert "I am shutting down" in text


async def test_suggestions_come_with_ollama_down(stack: Stack):
    path = ["ask"]
    options = {"prompt": "x", "model": "qw"}
    first = await stack.world.autocomplete(ADA_ID, GENERAL_ID, path, options, "model")
    await stack.ollama.stop()
    second = await stack.world.autocomplete(ADA_ID, GENERAL_ID, path, options, "model")
    assert [choice["value"] for choice in first] == [choice["value"] for choice in second] == ["qwen3:8b"]
