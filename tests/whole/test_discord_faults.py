"""Whatever Discord does to a call of a reply: the text arrives whole and once, or the reader is told why not.

Each passing fault strikes every call of a reply, each call in a channel of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.records import ReplyState
from bot.delivery.invalid_request_guard import SPARE_AT
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, LINUS_ID
from tests.scripted_ollama import done, hang, hold, say
from tests.whole.long_answer import (
    CALLS,
    END,
    FIRST,
    HTML,
    LONG,
    PASSING,
    SECOND,
    WHOLE,
    Answer,
    controls,
    direct,
    growing,
    nothing_left_running,
    recorded,
    squeezed,
)
from tests.whole.stack import CURSOR, Stack, running

# A button that Discord says it took away, and did not.
UNDETECTABLE = {("unreaction", "nonsense"), ("unreaction", "not-json")}


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        stack.bot.request_seconds = 0.4
        yield stack


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_costs_nothing(stack: Stack, caplog, name: str):
    faults = {}

    async def answer(call: str) -> Answer:
        method, route, at = CALLS[call]
        each = Answer(stack, stack.world.create_channel(call)["id"])
        stack.ollama.enqueue(each.script())
        chats = len(stack.ollama.chats)
        path = f"/channels/{each.channel}{route}"

        def inject(part: int) -> None:
            if part == at:
                faults[call] = stack.discord.inject(method=method, route=path, **PASSING[name])

        inject(0)
        stack.ask("Tell me", channel=each.channel)
        await stack.until(lambda: len(stack.ollama.chats) > chats)
        inject_later = inject if at else lambda _: None
        running_answers.append(asyncio.create_task(each.go(inject_later)))
        return each

    running_answers: list[asyncio.Task[None]] = []
    answers = {call: await answer(call) for call in CALLS}
    await asyncio.gather(*running_answers)
    await stack.idle()
    for call, each in answers.items():
        assert faults[call].hits == 1, f"the fault never struck: {call}"
        texts = stack.texts(each.channel)
        assert squeezed("".join(texts)) == squeezed(WHOLE), f"{call}: {[text[:40] for text in texts]}"
        assert not any(CURSOR in text for text in texts), call
        assert len(texts) == 2, call
        assert (call, name) in UNDETECTABLE or controls(stack, each.channel) == 0, call
        await recorded(stack, each.channel, ReplyState.COMPLETE, WHOLE)
    nothing_left_running()
    assert "word329" not in caplog.text


async def test_what_hangs_is_given_up_in_time_and_the_reader_never_waits(stack: Stack):
    stack.discord.inject(method="PATCH", route="/channels/*/messages/*", hang=True, times=1)
    more = asyncio.Event()
    stack.ollama.enqueue([*say("It begins."), hold(more), *say(LONG)])
    stack.ask("Go")
    await stack.shows("It begins.")
    more.set()
    await stack.until(lambda: stack.discord.pending)
    await asyncio.wait_for(stack.ollama.chats[-1].finished.wait(), 0.3)  # read to its end while the edit hangs
    assert squeezed(LONG) in squeezed("".join(await stack.answered(2)))


# ------------------------------------------------------------ what does not pass


async def test_who_may_no_longer_send_goes_on_in_a_direct_message(stack: Stack, caplog):
    each = await growing(stack, user=LINUS_ID)
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
    for step in each.steps:
        step.set()
    await stack.idle()
    [here] = stack.texts()
    note, *rest = direct(stack, LINUS_ID)
    assert CURSOR not in here
    assert f"<#{GENERAL_ID}>" in note
    assert "permission" in note
    assert f"/{stack.replies()[0]['message_reference']['message_id']}" in note
    assert squeezed(here.partition("\n-# ")[0] + "".join(rest)) == squeezed(WHOLE)
    await recorded(stack, GENERAL_ID, ReplyState.COMPLETE, WHOLE)
    assert caplog.text.count("takes no more of an answer") == 1
    stack.ask("And now?")
    await asyncio.sleep(0.05)
    assert len(stack.ollama.chats) == 1  # it cannot answer here, and does not try


async def test_a_first_message_that_is_forbidden_goes_to_who_asked(stack: Stack):
    stack.discord.inject(
        method="POST",
        route=f"/channels/{GENERAL_ID}/messages",
        status=403,
        body={"message": "Missing Permissions", "code": 50013},
        times=-1,
    )
    stack.ask("Hello", user=LINUS_ID)
    await stack.until(lambda: len(direct(stack, LINUS_ID)) == 2)
    await stack.idle()
    assert direct(stack, LINUS_ID)[1] == "Hello from the scripted model."
    assert "Here is my answer" in direct(stack, LINUS_ID)[0]


async def test_where_direct_messages_are_closed_the_reply_ends_and_the_model_is_let_go(stack: Stack, caplog):
    each = await growing(stack)
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
    closed = {"message": "Cannot send messages to this user", "code": 50007}
    stack.discord.inject(method="POST", route="/channels/*/messages", status=403, body=closed, times=-1)
    each.steps[0].set()
    each.steps[1].set()
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 5)
    await stack.idle()
    [here] = stack.texts()
    assert CURSOR not in here
    assert "word240" in here  # the page that is there is shown to its end
    await recorded(stack, GENERAL_ID, ReplyState.FAILED, FIRST + SECOND + LONG)
    assert "cannot be shown any more" in caplog.text
    assert sum(record.status == 403 for record in stack.discord.log) <= 3
    nothing_left_running()


async def test_an_edit_that_is_forbidden_for_good_is_followed_by_a_new_message(stack: Stack):
    each = await growing(stack)
    refused = {"message": "Cannot edit a message authored by another user", "code": 50005}
    first = stack.replies()[0]["id"]
    stack.discord.inject(method="PATCH", route=f"/channels/*/messages/{first}", status=403, body=refused, times=-1)
    for step in each.steps:
        step.set()
    await stack.idle()
    texts = stack.texts()
    assert squeezed("".join(texts)) == squeezed(WHOLE)
    assert CURSOR not in "".join(texts)
    assert first not in [message["id"] for message in stack.replies()]  # its cursor could not go otherwise
    await recorded_text(stack, WHOLE)


async def test_one_forbidden_edit_is_tried_again(stack: Stack):
    each = await growing(stack)
    refused = {"message": "Missing Permissions", "code": 50013}
    stack.discord.inject(method="PATCH", route="/channels/*/messages/*", status=403, body=refused, times=1)
    for step in each.steps:
        step.set()
    await stack.idle()
    assert squeezed("".join(stack.texts())) == squeezed(WHOLE)
    assert direct(stack) == []


@pytest.mark.parametrize("status", [403, 400])
async def test_an_archived_thread_is_opened_again(stack: Stack, status: int):
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "A thread")["id"]
    each = await growing(stack, thread)
    stack.world.set_archived(thread, True)
    for step in each.steps:
        step.set()
    await stack.idle()
    assert squeezed("".join(stack.texts(thread))) == squeezed(WHOLE)
    assert not stack.world.channels[thread]["thread_metadata"]["archived"]
    assert CURSOR not in "".join(stack.texts(thread))
    await recorded(stack, thread, ReplyState.COMPLETE, WHOLE)


async def test_a_thread_that_cannot_be_opened_by_hand_is_opened_by_a_new_message(stack: Stack):
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "A thread")["id"]
    each = await growing(stack, thread)
    stack.world.set_archived(thread, True)
    refused = {"message": "Missing Permissions", "code": 50013}
    stack.discord.inject(method="PATCH", route=f"/channels/{thread}", status=403, body=refused, times=-1)
    for step in each.steps:
        step.set()
    await stack.idle()
    old, *new = stack.texts(thread)
    assert squeezed("".join(new)) == squeezed(WHOLE)
    assert "continued below" in old
    assert CURSOR not in old


async def test_a_locked_thread_sends_the_rest_to_who_asked(stack: Stack):
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "A thread")["id"]
    each = await growing(stack, thread, user=LINUS_ID)
    stack.world.set_archived(thread, True, locked=True)
    for step in each.steps:
        step.set()
    await stack.idle()
    note, *rest = direct(stack, LINUS_ID)
    assert "the thread was locked" in note
    assert "the rest went" not in "".join(rest)
    assert squeezed("".join(rest)) == squeezed(WHOLE)
    stack.world.set_archived(thread, False)
    stack.ask("Open again?", channel=thread)  # no pause: threads are unlocked as they are locked
    await stack.shows("Hello from the scripted model.", thread)


async def test_a_part_that_automod_refuses_is_named_and_the_rest_goes_on(stack: Stack, caplog):
    stack.world.block_word("word7 ")
    each = await growing(stack)
    for step in each.steps:
        step.set()
    await stack.idle()
    first, second = stack.texts()
    assert first.startswith(FIRST)
    assert "AutoMod refused a part of the answer" in first
    assert "word7 " not in first
    assert second.endswith(END.strip())
    assert "AutoMod" not in second
    await recorded(stack, GENERAL_ID, ReplyState.COMPLETE, WHOLE)
    assert "code 200000" in caplog.text
    assert "word7" not in caplog.text
    tries = [r for r in stack.discord.log if r.status == 400]
    assert len(tries) <= 2  # each one may be reported to the moderators


@pytest.mark.parametrize(("code", "words"), [(200000, "AutoMod"), (240000, "a link"), (20009, "explicit content")])
async def test_a_first_message_that_is_refused_becomes_words(stack: Stack, code: int, words: str):
    body = {"message": "refused", "code": code}
    for method, route in (("POST", "/channels/*/messages"), ("PATCH", "/channels/*/messages/*")):
        stack.discord.inject(method=method, route=route, status=400, body=body)
    stack.ask("Hello")
    [text] = await stack.answered()
    assert words in text
    await recorded(stack, GENERAL_ID, ReplyState.COMPLETE, "Hello from the scripted model.")


async def test_a_text_that_is_refused_for_good_becomes_words(stack: Stack):
    body = {"message": "Invalid Form Body", "code": 50035}
    fault = stack.discord.inject(method="POST", route="/channels/*/messages", status=400, body=body, times=4)
    stack.ask("Hello")
    [text] = await stack.answered()
    assert "Discord did not take a part of the answer (HTTP 400, code 50035)" in text
    assert fault.spent


async def test_a_message_with_nothing_visible_becomes_words(stack: Stack):
    blank = {"message": "Cannot send an empty message", "code": 50006}
    for method, route in (("POST", "/channels/*/messages"), ("PATCH", "/channels/*/messages/*")):
        stack.discord.inject(method=method, route=route, status=400, body=blank, times=3)
    stack.ask("Hello")
    [text] = await stack.answered()
    assert "nothing to see in this part" in text


async def test_a_deleted_message_of_the_answer_stops_it_even_without_the_event(stack: Stack):
    each = await growing(stack)
    gone = {"message": "Unknown Message", "code": 10008}
    stack.discord.inject(method="PATCH", route="/channels/*/messages/*", status=404, body=gone, times=-1)
    each.steps[0].set()
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 5)
    await stack.idle()
    assert len(stack.texts()) == 1
    assert direct(stack) == []
    await recorded(stack, GENERAL_ID, ReplyState.STOPPED, "")  # what is deleted is not sent any more


@pytest.mark.parametrize("with_event", [True, False])
async def test_a_deleted_channel_ends_the_reply(stack: Stack, with_event: bool):
    channel = stack.world.create_channel("doomed")["id"]
    each = await growing(stack, channel)
    if with_event:
        stack.world.delete_channel(channel)
    else:
        gone = {"message": "Unknown Channel", "code": 10003}
        stack.discord.inject(route=f"/channels/{channel}/*", status=404, body=gone, times=-1)
        each.steps[0].set()
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 5)
    await stack.idle()
    assert direct(stack) == []  # deleting it was a decision
    turns = await stack.services.store.history(int(channel))
    assert [turn.reply.startswith(FIRST) for turn in turns] == ([] if with_event else [True])
    nothing_left_running()


async def test_a_bot_that_is_kicked_lets_the_model_go(stack: Stack):
    await growing(stack)
    stack.world.kick_bot()
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 5)
    await stack.idle()
    refused = Counter((record.method, record.route) for record in stack.discord.log if record.status == 403)
    assert max(refused.values()) <= 4  # the edit and its ending, each tried twice; nothing hammers
    assert direct(stack) == []
    [turn] = await stack.services.store.history(int(GENERAL_ID))
    assert turn.reply == FIRST
    nothing_left_running()


async def test_a_file_that_may_not_be_attached_goes_to_who_asked(tmp_path: Path):
    async with running(tmp_path, max_messages=1) as stack:
        more = asyncio.Event()
        stack.ollama.enqueue([*say(LONG), hold(more), done()])
        stack.ask("Everything", user=LINUS_ID)
        await stack.shows("too long for")
        refused = {"message": "Missing Permissions", "code": 50013}
        await stack.until(lambda: not stack.discord.pending)
        fault = stack.discord.inject(method="PATCH", route="/channels/*/messages/*", status=403, body=refused)
        more.set()
        await stack.until(lambda: fault.hits)
        [text] = await stack.answered()
        assert "I may not attach files; who asked has got it directly" in text
        dm = stack.world.messages(stack.world.open_dm(LINUS_ID)["id"], LINUS_ID)
        assert [file["filename"] for message in dm for file in message["attachments"]] == ["answer.md"]


async def test_a_file_that_is_too_large_is_named(tmp_path: Path):
    async with running(tmp_path, max_messages=1) as stack:
        large = {"message": "Request entity too large", "code": 40005}
        stack.ollama.enqueue([*say(LONG), hang()])
        stack.ask("Everything")
        await stack.shows("too long for")
        stack.discord.inject(method="PATCH", route="/channels/*/messages/*", status=413, body=large, times=1)
        stack.world.react(ADA_ID, GENERAL_ID, stack.replies()[0]["id"], "⏹️")
        [text] = await stack.answered()
        assert "the file with it was refused" in text
        assert "stopped by Ada" in text


async def test_a_global_limit_does_not_make_the_process_mute(stack: Stack):
    assert stack.bot is not None
    stack.discord.inject_rate_limit(0.1, scope="global", times=3)
    stack.ask("Hello")
    assert await stack.answered() == ["Hello from the scripted model."]
    assert stack.bot.http._global_over.is_set()
    stack.ask("And again")
    assert len(await stack.answered(2)) == 2


BY_TOKEN = {  # method, route below the token, before which part
    "first": ("PATCH", "/messages/@original", 0),
    "edit": ("PATCH", "/messages/*", 1),
    "followup": ("POST", "", 2),
    "final": ("PATCH", "/messages/*", 3),
}


@pytest.mark.parametrize("third", [0, 1, 2])  # more than twelve answers of one user would wait for each other
@pytest.mark.parametrize("call", BY_TOKEN)
async def test_a_passing_fault_costs_an_ask_nothing(stack: Stack, call: str, third: int):
    method, route, at = BY_TOKEN[call]
    running_answers = []
    answers = {}
    for name, what in list(PASSING.items())[third::3]:
        each = answers[name] = Answer(stack, stack.world.create_channel(name.lower())["id"])
        stack.ollama.enqueue(each.script())
        chats = len(stack.ollama.chats)
        token = stack.world.run_command(ADA_ID, each.channel, ["ask"], {"prompt": "Tell me"}).token
        fault = partial(stack.discord.inject, method=method, route=f"/webhooks/*/{token}{route}", **what)
        if at == 0:
            fault()
        await stack.until(lambda chats=chats: len(stack.ollama.chats) > chats)
        running_answers.append(each.go(lambda part, fault=fault: fault() if part == at > 0 else None))
    await asyncio.gather(*running_answers)
    await stack.idle()
    assert not stack.discord.faults, "a fault never struck"
    for name, each in answers.items():
        texts = stack.texts(each.channel)
        assert squeezed(WHOLE) in squeezed("".join(texts)), name
        assert not any(CURSOR in text for text in texts), name
        assert len(texts) == 2, name
        assert controls(stack, each.channel) == 0, name
    nothing_left_running()


@pytest.mark.parametrize("lost", [{"reset": True}, {"status": 502}])
async def test_a_followup_whose_answer_was_lost_is_not_doubled_where_the_history_may_not_be_read(
    stack: Stack, lost: dict[str, Any]
):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.READ_MESSAGE_HISTORY))
    each = Answer(stack, GENERAL_ID)
    stack.ollama.enqueue(each.script())
    token = stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "Tell me"}).token
    await stack.until(lambda: stack.ollama.chats)
    fault = stack.discord.inject(method="POST", route=f"/webhooks/*/{token}", after=True, **lost)
    for step in each.steps:
        step.set()
    await stack.shows("it ends")
    await stack.idle()
    assert fault.hits == 1
    texts = stack.texts()
    assert len(texts) == 2
    assert squeezed(WHOLE) in squeezed("".join(texts))


async def test_an_ask_whose_token_is_refused_by_a_proxy_does_not_hammer_it(stack: Stack):
    html = {"status": 429, "body": HTML, "via": False, "headers": {"Retry-After": "0.3"}}
    fault = stack.discord.inject(method="PATCH", route="/webhooks/*", times=2, **html)
    stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "Hello"})
    await stack.shows("Hello from the scripted model.")
    await stack.idle()
    assert fault.hits == 2
    first, second, third = [r.at for r in stack.discord.log if r.path.startswith("/webhooks/")][:3]
    assert second - first > 0.29
    assert third - second > 0.29


@pytest.mark.parametrize("name", [name for name in PASSING if name.startswith("429")])
async def test_after_a_429_the_pace_heeds_it_and_nothing_is_lost(stack: Stack, name: str):
    fault = stack.discord.inject(method="PATCH", route="/channels/*/messages/*", **PASSING[name])
    words = [f"word{i} " for i in range(60)]
    stack.ollama.enqueue([say(word, delay=0.01) for word in words])
    stack.ask("Slowly")
    assert squeezed("".join(await stack.answered())) == squeezed("".join(words))
    assert fault.hits == 1
    edits = [record for record in stack.discord.log if record.method == "PATCH"]
    at = next(index for index, record in enumerate(edits) if record.status == 429)
    assert edits[at + 1].at - edits[at].at > 0.055
    assert len(stack.refused()) <= 3  # periods of a tenth of a second leave a busy machine no slack


async def test_who_asks_where_the_bot_may_not_write_is_told_once(stack: Stack):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
    stack.ask("Hello?", user=LINUS_ID)
    await stack.until(lambda: direct(stack, LINUS_ID))
    stack.ask("Hello??", user=LINUS_ID)
    await asyncio.sleep(0.05)
    [text] = direct(stack, LINUS_ID)
    assert f"<#{GENERAL_ID}>" in text
    assert "may not send messages" in text
    assert stack.ollama.chats == []


async def test_near_the_ban_for_refused_requests_only_the_answer_itself_is_sent(stack: Stack):
    assert stack.bot is not None
    for _ in range(SPARE_AT):
        stack.bot.invalid.note(403, None)
    each = await growing_without_control(stack)
    for step in each.steps:
        step.set()
    await stack.idle()
    assert squeezed("".join(stack.texts())) == squeezed(WHOLE)
    assert not [r for r in stack.discord.log if "/typing" in r.path or "/reactions/" in r.path]


async def test_every_refusal_of_discord_is_counted(stack: Stack):
    assert stack.bot is not None
    await stack.answered(0)
    before = stack.bot.invalid.count
    stack.discord.inject_rate_limit(0.05, method="POST", route="/channels/*/messages")
    stack.discord.inject_rate_limit(0.05, method="POST", route="/channels/*/typing", scope="shared")
    stack.ask("Hello")
    await stack.answered()
    assert stack.bot.invalid.count == before + 1


async def growing_without_control(stack: Stack) -> Answer:
    each = await growing(stack)
    await asyncio.sleep(0.1)  # longer than the control takes to come
    return each


async def recorded_text(stack: Stack, text: str, channel: str = GENERAL_ID) -> None:
    [turn] = await stack.services.store.history(int(channel))
    assert turn.reply == text
