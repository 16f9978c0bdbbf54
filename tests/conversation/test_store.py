from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import traceback
import tracemalloc
from pathlib import Path

import pytest

from bot.conversation.records import Piece, PromptKind, ReplyEnd, ReplyMessage, ReplyOwner, ReplyState, Turn
from bot.conversation.store import Store
from bot.conversation.tokens import MOST_CHARACTERS_PER_TOKEN
from bot.errors import StoreError
from bot.parts import Text
from tests.conversation.builders import CHANNEL, NOW, a_prompt, answer, locked, record_message, rows


async def test_a_redelivered_prompt_changes_nothing(store: Store) -> None:
    assert await store.add_prompt(a_prompt(10, text="first")) is True
    assert await store.add_prompt(a_prompt(10, text="second")) is False
    assert await store.unanswered_prompts() == [a_prompt(10, text="first")]


async def test_a_prompt_redelivered_after_its_answer_is_not_waiting_again(store: Store) -> None:
    await answer(store, 10, "yes")
    assert await store.add_prompt(a_prompt(10)) is False
    assert await store.unanswered_prompts() == []
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["yes"]


async def test_the_largest_ids_survive(store: Store) -> None:
    largest = 2**63 - 1
    prompt = a_prompt(largest, channel_id=largest, guild_id=largest, author_id=largest)
    await store.add_prompt(prompt)
    assert await store.unanswered_prompts() == [prompt]


async def test_an_id_that_no_database_holds_is_a_store_error(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.add_prompt(a_prompt(2**64))
    assert await store.add_prompt(a_prompt(1))


async def test_prompts_wait_until_a_reply_begins_or_they_are_closed(store: Store) -> None:
    for message_id in (12, 10, 11):
        await store.add_prompt(a_prompt(message_id, kind=PromptKind.ASK if message_id == 12 else PromptKind.CHAT))
    assert [prompt.message_id for prompt in await store.unanswered_prompts()] == [10, 11, 12]
    await store.begin_reply(10, model="m", at=NOW)
    await store.close_prompt(11)
    waiting = await store.unanswered_prompts()
    assert [(prompt.message_id, prompt.kind) for prompt in waiting] == [(12, PromptKind.ASK)]


async def test_closing_a_prompt_under_answer_changes_nothing(store: Store, url: str) -> None:
    await answer(store, 10, "yes")
    await store.close_prompt(10)
    assert rows(url, "SELECT state FROM prompt") == [("taken",)]


async def test_a_reply_to_an_unknown_prompt_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.begin_reply(99, model="m", at=NOW)


async def test_replies_to_one_prompt_are_counted_as_variants(store: Store, url: str) -> None:
    await store.add_prompt(a_prompt(10))
    first = await store.begin_reply(10, model="m", at=NOW)
    second = await store.begin_reply(10, model="n", at=NOW)
    assert rows(url, "SELECT id, variant, model FROM reply ORDER BY id") == [(first, 0, "m"), (second, 1, "n")]


async def test_a_finished_reply_keeps_its_counts_model_and_time(store: Store, url: str) -> None:
    await store.add_prompt(a_prompt(10))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    await store.finish_reply(
        reply_id, state=ReplyState.FAILED, text="half", prompt_tokens=12, reply_tokens=3, model="m:latest", at=NOW + 2
    )
    columns = "state, text, model, prompt_tokens, reply_tokens, created_at, finished_at"
    assert rows(url, f"SELECT {columns} FROM reply") == [("failed", "half", "m:latest", 12, 3, NOW, NOW + 2)]


@pytest.mark.parametrize("count", [-1, 2**31, 10**4000])
async def test_a_count_that_is_none_is_left_out(store: Store, url: str, count: int) -> None:
    await store.add_prompt(a_prompt(10))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    await store.finish_reply(
        reply_id, state=ReplyState.COMPLETE, text="t", prompt_tokens=count, reply_tokens=count, at=NOW
    )
    assert rows(url, "SELECT prompt_tokens, reply_tokens FROM reply") == [(None, None)]


async def test_text_no_database_holds_is_stored_readable(store: Store) -> None:
    await answer(store, 10, "nul \0 and half a pair \ud83d, 🎉 whole", author_name="A\0da", text="\udfff?")
    assert await store.history(CHANNEL) == [
        Turn("A\ufffdda", (Text("\ufffd?"),), "nul \ufffd and half a pair \ufffd, 🎉 whole", 10, 5)
    ]


@pytest.mark.parametrize(
    "text", ["a\0b", "\ud83d", "\udfff\ud83d", "\0" * 5000, "%s %(x)s :x ' \" \\ $1 {}", "\ufeff🎉\u2028"]
)
async def test_whatever_text_comes_is_kept_wherever_it_comes(store: Store, text: str) -> None:
    kept = re.sub("[\0\ud800-\udfff]", "\ufffd", text)
    await store.set_setting(text, text)
    await store.set_channel_model(CHANNEL, text)
    assert (await store.setting(text), await store.channel_model(CHANNEL)) == (kept, kept)
    reply_id = await store.take_in(a_prompt(10, text=text, author_name=text, token=text), model=text, at=NOW)
    assert reply_id is not None
    await record_message(store, reply_id, 0, nonce="n", text=text)
    await store.write_down(reply_id, piece=Piece(0, text))
    [reply] = await store.unfinished_replies()
    assert (reply.text, reply.model, reply.messages[0].text) == (kept, kept, kept)
    assert (reply.prompt.text, reply.prompt.author_name) == (kept, kept)
    await store.finish_reply(reply_id, state=ReplyState.COMPLETE, text=text, at=NOW, footer=text, model=text)
    assert [(turn.text, turn.reply) for turn in await store.history(CHANNEL)] == [(kept, kept)]


# The journal


async def test_a_message_keeps_its_id_when_later_writes_leave_it_out(store: Store) -> None:
    await store.add_prompt(a_prompt(10))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n0", text="a")
    await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n0", message_id=500, text="a")
    await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n0", text="a b")
    [unfinished] = await store.unfinished_replies()
    assert unfinished.messages == (ReplyMessage(0, CHANNEL, 500, "n0", "a b"),)


async def test_a_message_posted_anew_forgets_the_old_id(store: Store) -> None:
    await store.add_prompt(a_prompt(10))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n0", message_id=500, text="a")
    await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n1", text="a")
    [unfinished] = await store.unfinished_replies()
    assert unfinished.messages == (ReplyMessage(0, CHANNEL, None, "n1", "a"),)


async def test_unfinished_replies_come_with_prompt_text_and_messages_in_order(store: Store) -> None:
    await answer(store, 9, "done")
    prompts = [a_prompt(10), a_prompt(11, guild_id=None, kind=PromptKind.ASK)]
    for prompt in prompts:
        await store.add_prompt(prompt)
    first = await store.begin_reply(10, model="m", at=NOW)
    second = await store.begin_reply(11, model="n", at=NOW + 1)
    await record_message(store, first, 1, channel_id=CHANNEL, nonce="b", text="two")
    await record_message(store, first, 0, channel_id=CHANNEL, nonce="a", message_id=500, text="one")
    await store.write_down(first, piece=Piece(0, "one two"))
    await store.write_down(first, piece=Piece(7, " three"))
    one, two = await store.unfinished_replies()
    assert (one.reply_id, one.prompt, one.model, one.text, one.created_at) == (
        first,
        prompts[0],
        "m",
        "one two three",
        NOW,
    )
    assert [(message.ordinal, message.message_id, message.text) for message in one.messages] == [
        (0, 500, "one"),
        (1, None, "two"),
    ]
    assert (two.reply_id, two.prompt, two.messages) == (second, prompts[1], ())


async def test_every_message_of_a_reply_leads_to_its_asker(store: Store) -> None:
    reply_id = await answer(store, 10, "text", state=ReplyState.STOPPED, author_id=77)
    for ordinal in (0, 1):
        await record_message(
            store, reply_id, ordinal, channel_id=CHANNEL, nonce=f"n{ordinal}", message_id=500 + ordinal
        )
    expected = ReplyOwner(reply_id, 10, 77, CHANNEL, ReplyState.STOPPED)
    assert [await store.reply_by_message(message_id) for message_id in (500, 501, 502)] == [expected, expected, None]


# History


async def test_history_is_the_channels_turns_oldest_first(store: Store) -> None:
    for message_id in (12, 10, 11):
        await answer(store, message_id, f"answer {message_id}")
    await answer(store, 13, "elsewhere", channel_id=CHANNEL + 1)
    assert await store.history(CHANNEL) == [
        Turn("Ada", (Text(f"question {message_id}"),), f"answer {message_id}", message_id, 5)
        for message_id in (10, 11, 12)
    ]


@pytest.mark.parametrize("state", [ReplyState.STOPPED, ReplyState.INTERRUPTED, ReplyState.FAILED, ReplyState.COMPLETE])
async def test_replies_are_remembered_however_they_ended(store: Store, state: ReplyState) -> None:
    await answer(store, 10, "as far as it came", state=state)
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["as far as it came"]


async def test_prompts_without_a_word_of_an_answer_are_left_out(store: Store) -> None:
    await answer(store, 10, "", state=ReplyState.FAILED)
    await store.add_prompt(a_prompt(11))
    await answer(store, 12, "yes")
    assert [turn.message_id for turn in await store.history(CHANNEL)] == [12]


async def test_the_prompt_being_answered_and_later_ones_are_not_history(store: Store) -> None:
    for message_id in (10, 11, 12):
        await answer(store, message_id, "x")
    assert [turn.message_id for turn in await store.history(CHANNEL, before=11)] == [10]


async def test_asks_are_not_history(store: Store) -> None:
    await answer(store, 10, "x", kind=PromptKind.ASK)
    assert await store.history(CHANNEL) == []


async def test_only_the_newest_reply_with_text_counts(store: Store) -> None:
    await answer(store, 10, "old")
    newer = await store.begin_reply(10, model="m", at=NOW)
    await store.finish_reply(newer, state=ReplyState.COMPLETE, text="new", at=NOW)
    empty = await store.begin_reply(10, model="m", at=NOW)
    await store.finish_reply(empty, state=ReplyState.FAILED, text="", at=NOW)
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["new"]


async def test_the_limit_keeps_the_latest_turns(store: Store) -> None:
    for message_id in range(10, 15):
        await answer(store, message_id, "x")
    assert [turn.message_id for turn in await store.history(CHANNEL, limit_turns=2)] == [13, 14]


async def test_no_more_of_the_history_is_read_than_may_fit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for message_id in range(10, 15):
        await answer(store, message_id, "x" * 1000, text="y" * 100)
    seen: list[int] = []
    monkeypatch.setattr("bot.conversation.queries.Turn", lambda *values: seen.append(values[3]) or Turn(*values))
    assert [turn.message_id for turn in await store.history(CHANNEL, limit_characters=2200)] == [13, 14]
    assert seen == [14, 13]
    assert await store.history(CHANNEL, limit_characters=1099) == []


async def test_the_longest_replies_in_a_row_do_not_fill_the_memory(store: Store) -> None:
    for message_id in range(10, 30):
        await answer(store, message_id, "x" * 1024 * 1024)
    tracemalloc.start()
    try:
        await store.history(CHANNEL, limit_characters=8192 * MOST_CHARACTERS_PER_TOKEN)
        assert tracemalloc.get_traced_memory()[1] < 6 * 2**20
    finally:
        tracemalloc.stop()


async def test_a_reset_hides_what_was_but_keeps_it(store: Store, url: str) -> None:
    for message_id in (10, 11, 12):
        await answer(store, message_id, "x")
    await answer(store, 9, "x", channel_id=CHANNEL + 1)
    await store.reset(CHANNEL, at_message_id=11)
    assert [turn.message_id for turn in await store.history(CHANNEL)] == [12]
    assert len(await store.history(CHANNEL + 1)) == 1
    assert rows(url, "SELECT count(*) FROM prompt") == [(4,)]


async def test_an_older_reset_that_arrives_late_brings_nothing_back(store: Store) -> None:
    await answer(store, 10, "x")
    await store.reset(CHANNEL, at_message_id=20)
    await store.reset(CHANNEL, at_message_id=5)
    assert await store.history(CHANNEL) == []


# Channels and settings


async def test_a_channels_model_is_its_own_and_can_be_taken_back(store: Store) -> None:
    assert await store.channel_model(CHANNEL) is None
    await store.set_channel_model(CHANNEL, "qwen3:8b")
    await store.set_channel_model(CHANNEL + 1, "gemma3")
    assert await store.channel_model(CHANNEL) == "qwen3:8b"
    await store.set_channel_model(CHANNEL, None)
    assert await store.channel_model(CHANNEL) is None
    assert await store.channel_model(CHANNEL + 1) == "gemma3"


async def test_model_and_reset_of_a_channel_do_not_disturb_each_other(store: Store) -> None:
    await answer(store, 10, "x")
    await store.set_channel_model(CHANNEL, "m")
    await store.reset(CHANNEL, at_message_id=10)
    await store.set_channel_model(CHANNEL, "n")
    assert (await store.channel_model(CHANNEL), await store.history(CHANNEL)) == ("n", [])
    await store.reset(CHANNEL, at_message_id=11)
    assert await store.channel_model(CHANNEL) == "n"


async def test_settings_are_kept_and_replaced(store: Store) -> None:
    assert await store.setting("commands:1") is None
    await store.set_setting("commands:1", "a")
    await store.set_setting("commands:1", "b")
    assert (await store.setting("commands:1"), await store.setting("commands:2")) == ("b", None)


# Restarts, many at once, cancels


async def test_everything_is_there_after_a_restart(url: str) -> None:
    async with Store.open(url) as store:
        await answer(store, 10, "x")
        await store.set_channel_model(CHANNEL, "m")
        await store.set_setting("k", "v")
        await store.add_prompt(a_prompt(11))
        reply_id = await store.begin_reply(11, model="m", at=NOW)
        await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n", message_id=500, text="y")
    async with Store.open(url) as store:
        await store.setting("any")
        assert [turn.reply for turn in await store.history(CHANNEL)] == ["x"]
        assert (await store.channel_model(CHANNEL), await store.setting("k")) == ("m", "v")
        assert [reply.messages[0].text for reply in await store.unfinished_replies()] == ["y"]
        assert await store.begin_reply(11, model="m", at=NOW) > reply_id


KILLED = """
import asyncio, os, signal, sys
from bot.conversation.store import Store
from tests.conversation.builders import CHANNEL, NOW, a_prompt, record_message

async def main():
    async with Store.open(sys.argv[1]) as store:
        await store.add_prompt(a_prompt(10))
        reply_id = await store.begin_reply(10, model="m", at=NOW)
        for number in range(50):
            await record_message(store, reply_id, 0, channel_id=CHANNEL, nonce="n", text=f"text {number}")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_what_was_recorded_survives_a_kill(url: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, url], check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL

    async def after_restart() -> list[str]:
        async with Store.open(url) as store:
            return [message.text for reply in await store.unfinished_replies() for message in reply.messages]

    assert asyncio.run(after_restart()) == ["text 49"]


async def test_fifty_writers_at_once_lose_nothing(store: Store) -> None:
    async def converse(number: int) -> None:
        channel_id = CHANNEL + number
        await store.add_prompt(a_prompt(1000 + number, channel_id=channel_id))
        reply_id = await store.begin_reply(1000 + number, model="m", at=NOW)
        for step in range(5):
            await record_message(store, reply_id, 0, channel_id=channel_id, nonce="n", text=f"{number}/{step}")
        await store.finish_reply(reply_id, state=ReplyState.COMPLETE, text=f"answer {number}", at=NOW)

    await asyncio.gather(*(converse(number) for number in range(50)))
    histories = [await store.history(CHANNEL + number) for number in range(50)]
    assert [[turn.reply for turn in turns] for turns in histories] == [[f"answer {number}"] for number in range(50)]


async def test_the_same_prompt_from_many_at_once_is_taken_in_once(store: Store) -> None:
    taken = await asyncio.gather(*(store.add_prompt(a_prompt(10)) for _ in range(20)))
    assert taken.count(True) == 1


async def test_a_cancelled_caller_does_not_cost_its_last_words(store: Store, url: str) -> None:
    await store.add_prompt(a_prompt(10))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    with locked(url):
        finishing = [
            asyncio.create_task(store.write_down(reply_id, piece=Piece(0, "running"))),
            asyncio.create_task(store.finish_reply(reply_id, state=ReplyState.STOPPED, text="last words", at=NOW)),
        ]
        await asyncio.sleep(0.02)
        for task in finishing:
            task.cancel()
        await asyncio.gather(*finishing, return_exceptions=True)
        assert all(task.cancelled() for task in finishing)
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["last words"]


async def test_closing_waits_for_what_was_begun(url: str) -> None:
    async with Store.open(url) as store:
        await answer(store, 10, "x")
        writes = [asyncio.create_task(store.set_setting("k", str(number))) for number in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    async with Store.open(url) as store:
        assert await store.setting("k") == "19"


async def test_a_closed_store_says_so(url: str) -> None:
    async with Store.open(url) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await store.setting("any")


async def test_a_call_that_fails_leaves_the_store_working(store: Store) -> None:
    await store.add_prompt(a_prompt(10))
    with pytest.raises(StoreError):
        await record_message(store, 12345, 0, channel_id=CHANNEL, nonce="n")
    await answer(store, 11, "x")
    assert len(await store.history(CHANNEL)) == 1


async def test_an_errors_traceback_holds_nobodys_words(store: Store) -> None:
    words = "a secret"  # on a line of its own: a traceback quotes the lines of the calls
    with pytest.raises(StoreError) as caught:
        await record_message(store, 12345, 0, channel_id=CHANNEL, nonce="n", text=words)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_a_commands_token_is_kept_until_its_reply_is_on_screen_and_never_shown(store: Store, url: str) -> None:
    secret = "aW50ZXJhY3Rpb24"
    record = a_prompt(10, kind=PromptKind.ASK, token=secret)
    assert secret not in repr(record)
    reply_id = await store.take_in(record, model="m", at=NOW)
    assert reply_id is not None
    await store.write_down(reply_id, end=ReplyEnd(ReplyState.COMPLETE, "x"))
    assert [reply.prompt.token for reply in await store.unfinished_replies()] == [secret]
    await store.write_down(reply_id, is_shown=True)
    assert rows(url, "SELECT token FROM prompt") == [("",)]


async def test_a_start_forgets_tokens_that_discord_has_let_die(store: Store) -> None:
    for number, age in ((10, 901), (11, 899)):
        record = a_prompt(number, kind=PromptKind.ASK, token="secret", created_at=NOW - age)
        await store.take_in(record, model="m", at=NOW)
    assert [reply.prompt.token for reply in await store.leftovers(at=NOW)] == ["", "secret"]
