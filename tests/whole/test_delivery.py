"""Sequences of what Discord says that are nastier than one refusal: screen, row and number of requests agree."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.records import PromptKind, ReplyMessage
from bot.delivery import transport
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, LINUS_ID
from bot.streaming.streamer import ReplyStreamer
from tests.scripted_ollama import done, hold, say
from tests.whole.leftovers import left, left_message, note, posted
from tests.whole.long_answer import HTML, LONG, WHOLE, Answer, direct, growing, limited, squeezed
from tests.whole.stack import CURSOR, STOP, Stack, running, servers
from tests.whole.test_recovery import INTERRUPTED, pages
from tests.whole.test_recovery import LONG as LEFT

MESSAGES = "/channels/*/messages"
EDITS = "/channels/*/messages/*"
HEADER = "> Hello?\n"


def refusal(code: int, status: int = 403) -> dict[str, Any]:
    return {"status": status, "body": {"message": "x", "code": code}}


PROXY = {"body": HTML, "via": False}
AUTOMOD = refusal(200000, 400)
FORBIDDEN = refusal(50013)
FOR_GOOD = refusal(50005)


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        stack.bot.request_seconds = 0.4
        await stack.until(lambda: stack.world.commands)
        yield stack


def stored(stack: Stack, prompt_id: str | None = None) -> dict[str, Any]:
    """The row of the reply to a prompt (the first there is)."""
    prompt_id = prompt_id or stack.world.messages(GENERAL_ID, ADA_ID)[0]["id"]
    with contextlib.closing(sqlite3.connect(stack.settings.data_dir / "burble.db")) as database:
        database.row_factory = sqlite3.Row
        row = database.execute("SELECT * FROM reply WHERE prompt_id = ?", (int(prompt_id),)).fetchone()
        return dict(row)


def shown(texts: list[str]) -> str:
    return squeezed("".join(text.partition("\n-# ⚠️")[0] for text in texts))


async def quiet(stack: Stack) -> None:
    await stack.until(lambda: not stack.discord.pending)


async def ended(stack: Stack, each: Answer) -> None:
    for step in each.steps:
        step.set()
    await stack.idle()


def count(stack: Stack, status: int) -> int:
    return sum(record.status == status for record in stack.discord.log)


def ask(stack: Stack) -> tuple[Answer, str]:
    each = Answer(stack, GENERAL_ID)
    stack.ollama.enqueue(each.script())
    return each, stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "Hello?"}).token


# ------------------------------------------------------------ a live reply


async def test_a_replacement_whose_answer_was_lost_still_gets_its_last_words(stack: Stack):
    go, more = asyncio.Event(), asyncio.Event()
    stack.ollama.enqueue([*say("Beginning."), hold(go), *say(" Middle."), hold(more), *say(" End.")])
    stack.ask("x")
    await stack.shows("Beginning.")
    await quiet(stack)
    first = stack.replies()[0]["id"]
    stack.discord.inject(method="PATCH", route=f"/channels/*/messages/{first}", times=-1, **FOR_GOOD)
    lost = stack.discord.inject(method="POST", route=MESSAGES, status=502, after=True, times=1)
    go.set()
    await stack.until(lambda: lost.hits)
    more.set()
    await stack.idle()
    assert stack.texts() == ["Beginning. Middle. End."]
    assert (stored(stack)["text"], stored(stack)["is_open"]) == ("Beginning. Middle. End.", 0)


async def test_words_that_meet_an_archived_thread_come_all_the_same(stack: Stack):
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "t")["id"]
    each = await growing(stack, thread)
    for what in (AUTOMOD, refusal(50083, 400), refusal(50083, 400)):
        stack.discord.inject(method="PATCH", route=f"/channels/{thread}/messages/*", times=1, **what)
    await ended(stack, each)
    texts = stack.texts(thread)
    assert "AutoMod refused a part" in "".join(texts) or shown(texts).endswith(squeezed(WHOLE))
    assert texts[-1].endswith("Here it ends.")
    assert CURSOR not in "".join(texts)


@pytest.mark.parametrize("is_barred", [False, True])
async def test_a_page_that_is_posted_anew_takes_those_below_it_along(stack: Stack, is_barred: bool):
    each = await growing(stack, user=LINUS_ID)
    each.steps[0].set()
    await stack.shows("second part")
    await quiet(stack)
    route = f"/channels/*/messages/{stack.replies()[0]['id']}"
    wait = limited(headers={}, body={"message": "x", "retry_after": 0.4, "global": False})
    stack.discord.inject(method="PATCH", route=route, times=1, **wait)
    stack.discord.inject(method="PATCH", route=route, times=-1, **FORBIDDEN)
    each.steps[1].set()
    await stack.until(lambda: len(stack.texts()) >= 2)
    if is_barred:
        stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
        stack.discord.inject(method="POST", route="/users/@me/channels", status=503, times=2)
    await asyncio.sleep(0.5)
    await ended(stack, each)
    whole = direct(stack, LINUS_ID)[1:] if is_barred else stack.texts()
    assert squeezed("".join(whole)) == squeezed(WHOLE), "in order, and nothing twice"
    assert CURSOR not in "".join(stack.texts())
    assert count(stack, 403) <= 4


async def test_a_replacement_that_fails_for_a_while_does_not_try_the_old_message_again(stack: Stack):
    each = await growing(stack)
    first = stack.replies()[0]["id"]
    stack.discord.inject(method="PATCH", route=f"/channels/*/messages/{first}", times=-1, **FOR_GOOD)
    failing = stack.discord.inject(method="POST", route=MESSAGES, status=503, times=3)
    each.steps[0].set()
    await stack.until(lambda: failing.spent)
    await ended(stack, each)
    assert count(stack, 403) == 2
    assert shown(stack.texts()) == squeezed(WHOLE)


async def test_direct_messages_that_open_late_cost_the_channel_one_refusal_and_a_pause(stack: Stack):
    stack.discord.inject(method="POST", route=f"/channels/{GENERAL_ID}/messages", times=-1, **FORBIDDEN)
    stack.discord.inject(method="POST", route="/users/@me/channels", status=503, times=3)
    stack.ask("Hello", user=LINUS_ID)
    await stack.until(lambda: len(direct(stack, LINUS_ID)) == 2)
    await stack.idle()
    assert count(stack, 403) == 1
    assert stack.bot is not None
    assert stack.bot.pauses.is_paused(int(GENERAL_ID))


async def test_three_404s_of_a_proxy_at_the_first_message_are_not_silence(stack: Stack):
    stack.discord.inject(method="POST", route=f"/channels/{GENERAL_ID}/messages", status=404, times=3, **PROXY)
    stack.ask("Hello")
    assert await stack.answered() == ["Hello from the scripted model."]


async def test_three_404s_of_a_proxy_at_an_edit_cost_nothing(stack: Stack):
    each = await growing(stack)
    stack.discord.inject(method="PATCH", route=EDITS, status=404, times=3, **PROXY)
    await ended(stack, each)
    assert squeezed("".join(stack.texts())) == squeezed(WHOLE)


async def test_a_status_that_is_refused_withholds_no_text(stack: Stack):
    go, end = asyncio.Event(), asyncio.Event()
    fault = stack.discord.inject(method="POST", route=MESSAGES, times=1, **refusal(50035, 400))
    stack.discord.inject(method="POST", route=MESSAGES, times=1, **refusal(50035, 400))
    stack.ollama.enqueue([hold(go), *say("The text grows."), hold(end), *say(" It ends.")])
    stack.ask("x")
    await stack.until(lambda: fault.hits)
    go.set()
    await stack.shows(f"The text grows. {CURSOR}")
    end.set()
    assert await stack.answered() == ["The text grows. It ends."]


async def test_what_a_sick_proxy_refuses_is_not_withheld_for_long(stack: Stack):
    go, more, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    stack.ollama.enqueue(
        [*say("Begin."), hold(go), *say(" More."), hold(more), *say(LONG[:300]), hold(end), *say(" End.")]
    )
    stack.ask("x")
    await stack.shows("Begin.")
    await quiet(stack)
    stack.discord.inject(method="PATCH", route=EDITS, status=400, times=3)
    go.set()
    await stack.shows("did not take a part")
    more.set()
    await stack.shows(f"Begin. More.{LONG[:290]}")
    end.set()
    [text] = await stack.answered()
    assert text.endswith(" End.")


@pytest.mark.parametrize("status", [400, 403])
async def test_another_code_of_automod_is_read_as_such(stack: Stack, status: int):
    for method, route in (("POST", MESSAGES), ("PATCH", EDITS)):
        stack.discord.inject(method=method, route=route, times=1, **refusal(200001, status))
    stack.ask("Hello", user=LINUS_ID)
    [text] = await stack.answered()
    assert "AutoMod" in text
    assert direct(stack, LINUS_ID) == []
    assert count(stack, status) == 2


async def test_an_overlong_answer_whose_last_page_automod_refuses_has_its_file(tmp_path: Path):
    async with running(tmp_path, max_messages=1) as stack:
        stack.world.block_word("word7 ")
        more = asyncio.Event()
        stack.ollama.enqueue([*say("First words."), hold(more), *say(LONG), done()])
        stack.ask("Everything")
        await stack.shows("First words")
        more.set()
        [text] = await stack.answered()
        await stack.idle()
        assert text.startswith("First words.\n-# ⚠️ this server's AutoMod refused")
        assert text.endswith("is in the attached file")
        assert [len(message["attachments"]) for message in stack.replies()] == [1]


async def test_a_file_that_a_proxy_refuses_once_is_attached(tmp_path: Path):
    async with running(tmp_path, max_messages=1) as stack:
        more = asyncio.Event()
        stack.ollama.enqueue([*say(LONG), hold(more), done()])
        stack.ask("Everything", user=LINUS_ID)
        await stack.shows("too long for")
        await quiet(stack)
        stack.discord.inject(method="PATCH", route=EDITS, status=403, times=1, **PROXY)
        more.set()
        await stack.shows("in the attached file")
        await stack.idle()
        assert [len(message["attachments"]) for message in stack.replies()] == [1]
        assert direct(stack, LINUS_ID) == []


async def test_no_page_is_posted_after_one_of_them_was_deleted(stack: Stack):
    each = await growing(stack)
    await quiet(stack)
    posts = stack.discord.inject(method="POST", route=MESSAGES, delay=0.3)
    each.steps[0].set()
    each.steps[1].set()
    await stack.until(lambda: posts.hits or len(stack.texts()) == 2)
    stack.world.delete(ADA_ID, GENERAL_ID, stack.replies()[0]["id"])
    await stack.idle()
    assert len(stack.texts()) <= 1
    assert CURSOR not in "".join(stack.texts())


async def test_a_control_leaves_a_thread_that_was_archived(stack: Stack):
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "t")["id"]
    each = await growing(stack, thread)
    await stack.until(lambda: any(left_message(message) for message in stack.replies(thread)))
    taken = stack.discord.inject(method="DELETE", route="/channels/*/messages/*/reactions/*/*", delay=0.1)
    for step in each.steps:
        step.set()
    await stack.until(lambda: taken.hits)
    stack.world.set_archived(thread, True)
    await stack.idle()
    assert not any(left_message(message) for message in stack.replies(thread))


async def test_an_hour_of_waiting_after_the_end_holds_no_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with servers(tmp_path) as stack:
        with monkeypatch.context() as patch:
            patch.setattr("bot.generation.responder.ReplyStreamer", partial(ReplyStreamer, give_up_after=0.3))
            async with stack.running_bot():
                await growing(stack)
                await quiet(stack)
                hour = limited(headers={}, body={"message": "x", "retry_after": 3600, "global": False})
                stack.discord.inject(method="PATCH", route=EDITS, times=1, **hour)
                stack.world.react(ADA_ID, GENERAL_ID, stack.replies()[0]["id"], STOP)
                await stack.until(lambda: count(stack, 429))
                stack.ask("And now?", user=LINUS_ID)
                await stack.until(lambda: len(stack.replies()) == 2)  # Discord takes no edit there, but new messages
                await stack.idle()
                prompt = stack.world.messages(GENERAL_ID, ADA_ID)[0]["id"]
                assert stored(stack, prompt)["state"] == "stopped"
                assert stored(stack, prompt)["is_open"] == 1, "the next start shows its end"
        async with stack.running_bot():
            await stack.shows("stopped by Ada")
            assert "".join(stack.texts()).count("stopped by Ada") == 1
        assert stored(stack, prompt)["is_open"] == 0


async def test_a_click_in_the_direct_messages_that_an_answer_moved_to_stops_it(stack: Stack):
    each, token = ask(stack)
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.VIEW_CHANNEL))
    await stack.shows("first words")
    stack.discord.inject(method="POST", route=f"/webhooks/*/{token}", times=-1, **FORBIDDEN)
    each.steps[0].set()
    each.steps[1].set()
    await stack.until(lambda: any("word329" in text for text in direct(stack)))
    dm = stack.world.open_dm(ADA_ID)["id"]
    stack.world.react(ADA_ID, dm, stack.world.messages(dm, ADA_ID)[-1]["id"], STOP)
    await stack.until(lambda: "stopped by Ada" in direct(stack)[-1])
    await stack.idle()
    [here] = stack.texts()
    assert here.startswith(HEADER)
    assert here.endswith("\n-# ⚠️ the rest went to who asked")
    assert CURSOR not in "".join(direct(stack))


# ------------------------------------------------------------ /ask


@pytest.mark.parametrize("code", [50013, 50001])
async def test_a_command_whose_answer_goes_elsewhere_does_not_think_for_ever(stack: Stack, code: int):
    stack.discord.inject(method="PATCH", route="/webhooks/*", times=-1, **refusal(code))
    stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "Hello?"})
    await stack.until(lambda: len(direct(stack)) == 2)
    await stack.idle()
    assert not [message for message in stack.replies() if message["flags"] & 128], "it is loading no more"
    assert direct(stack)[1] == f"{HEADER}Hello from the scripted model."


@pytest.mark.parametrize("sees", [True, False])
async def test_an_edit_that_is_forbidden_to_a_command_is_followed_by_a_followup(stack: Stack, sees: bool):
    each, token = ask(stack)
    if not sees:
        stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES | Permission.ADD_REACTIONS))
    await stack.shows("first words")
    first = stack.replies()[0]["id"]
    route = f"/webhooks/*/{token}/messages/{first}"
    stack.discord.inject(method="PATCH", route=route, times=-1, **FORBIDDEN)
    await ended(stack, each)
    assert squeezed("".join(stack.texts())) == squeezed(HEADER + WHOLE)
    assert direct(stack) == []
    assert not [record for record in stack.discord.log if record.method == "POST" and record.path.endswith("/messages")]


async def test_pages_in_a_channel_that_the_bot_cannot_see_say_where_the_rest_is(stack: Stack):
    each, token = ask(stack)
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.VIEW_CHANNEL))
    await stack.shows("first words")
    stack.discord.inject(method="POST", route=f"/webhooks/*/{token}", times=-1, **FORBIDDEN)
    await ended(stack, each)
    [here] = stack.texts()
    assert here.startswith(HEADER)
    assert here.endswith("\n-# ⚠️ the rest went to who asked")
    assert shown([here, *direct(stack)[1:]]) == squeezed(HEADER + WHOLE)


async def test_a_followup_whose_answer_was_lost_is_not_doubled_when_the_token_is_old_meanwhile(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    each, token = ask(stack)
    await stack.shows("first words")
    lost = stack.discord.inject(method="POST", route=f"/webhooks/*/{token}", status=502, after=True, times=1)
    each.steps[0].set()
    each.steps[1].set()
    await stack.until(lambda: lost.hits)
    monkeypatch.setattr(transport, "TOKEN_SECONDS", 0)
    await ended(stack, each)
    texts = stack.texts()
    assert len(texts) == 2
    assert squeezed("".join(texts)) == squeezed(HEADER + WHOLE)


async def test_one_401_of_a_proxy_does_not_kill_a_token(stack: Stack):
    each, token = ask(stack)
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.VIEW_CHANNEL))
    await stack.shows("first words")
    stack.discord.inject(method="PATCH", route=f"/webhooks/*/{token}/messages/*", status=401, times=1, **PROXY)
    await ended(stack, each)
    assert squeezed("".join(stack.texts())) == squeezed(HEADER + WHOLE)
    assert direct(stack) == []


# ------------------------------------------------------------ the next start


@pytest.fixture
async def stopped(tmp_path: Path):
    async with servers(tmp_path) as stack:
        yield stack


@pytest.mark.parametrize("late", [False, True])
async def test_a_page_that_was_deleted_while_no_process_ran_stays_away(stopped: Stack, late: bool):
    stack, prompt = stopped, stopped.ask("Go")
    first, second = pages(LEFT)
    messages = posted(stack, prompt, 0, first), posted(stack, prompt, 1, f"{second[:30]} {CURSOR}", control=True)
    notes = [note(prompt, 0, messages[0], first), note(prompt, 1, messages[1], f"{second[:30]} {CURSOR}")]
    await left(stack, prompt, text=LEFT, notes=notes)
    stack.world.message_rules.remove(stack.world.message(GENERAL_ID, messages[0]["id"]))
    if late:
        stack.world.message_rules._nonces.clear()
    async with stack.running_bot():
        assert stack.texts() == [f"{second}\n{INTERRUPTED}"]
        assert not any(left_message(message) for message in stack.replies())
    assert stored(stack, prompt["id"])["is_open"] == 0


async def test_a_page_whose_post_was_tried_twice_before_the_kill_is_there_once(stopped: Stack):
    stack, prompt = stopped, stopped.ask("Go")
    first, second = pages(LEFT)
    message = posted(stack, prompt, 0, first)
    tried = f"{second[:30]} {CURSOR}"
    posted(stack, prompt, 1, tried)
    newer = f"{second[:300]} {CURSOR}"
    lost = ReplyMessage(1, int(GENERAL_ID), None, f"{prompt['id']}-1", newer, first_try=tried)
    await left(stack, prompt, text=LEFT, notes=[note(prompt, 0, message, first), lost])
    stack.world.message_rules._nonces.clear()
    async with stack.running_bot():
        assert stack.texts() == pages(LEFT, INTERRUPTED)


async def test_a_replacement_that_was_under_way_is_there_once(stopped: Stack):
    stack, prompt = stopped, stopped.ask("Go")
    old = posted(stack, prompt, 0, f"Half {CURSOR}")
    new = f"Half of it {CURSOR}"
    nonce = f"{prompt['id']}-0.1"
    stack.world.message_rules.create(BOT_ID, GENERAL_ID, {"content": new, "nonce": nonce, "enforce_nonce": True})
    under_way = ReplyMessage(0, int(GENERAL_ID), None, nonce, new, generation=1, first_try=new)
    await left(stack, prompt, text="Half of it all", notes=[note(prompt, 0, old, f"Half {CURSOR}"), under_way])
    async with stack.running_bot():
        assert stack.texts() == [f"Half of it all\n{INTERRUPTED}"]


async def test_what_automod_refuses_at_a_restart_keeps_what_was_accepted(stopped: Stack):
    stack, prompt = stopped, stopped.ask("Go")
    message = posted(stack, prompt, 0, f"A good half {CURSOR}")
    stack.world.block_word("badword")
    notes = [note(prompt, 0, message, f"A good half {CURSOR}")]
    await left(stack, prompt, text="A good half and badword here", notes=notes)
    async with stack.running_bot():
        [text] = stack.texts()
    assert text.startswith("A good half\n-# ⚠️ this server's AutoMod refused")
    assert text.endswith(INTERRUPTED)


@pytest.mark.parametrize(("code", "times"), [(50013, 1), (50005, -1)])
async def test_a_refused_edit_at_a_restart_is_followed_by_the_live_rules(stopped: Stack, code: int, times: int):
    stack, prompt = stopped, stopped.ask("Go")
    message = posted(stack, prompt, 0, f"A good half {CURSOR}", control=True)
    await left(stack, prompt, text="A good half and more", notes=[note(prompt, 0, message, f"A good half {CURSOR}")])
    stack.discord.inject(method="PATCH", route=EDITS, times=times, **refusal(code))
    async with stack.running_bot():
        assert stack.texts() == [f"A good half and more\n{INTERRUPTED}"]
        assert not any(left_message(each) for each in stack.replies())


async def test_pages_that_went_to_who_asked_are_gone_on_with_there_after_a_restart(stopped: Stack):
    stack, prompt = stopped, stopped.ask("Go", user=LINUS_ID)
    dm = stack.world.open_dm(LINUS_ID)["id"]
    text = LEFT + " later" * 500
    first, second, *_ = pages(text)
    here = posted(stack, prompt, 0, first, control=True)
    there = stack.world.message_rules.create(BOT_ID, dm, {"content": f"{second[:30]} {CURSOR}"})
    away = ReplyMessage(1, int(dm), int(there["id"]), f"{prompt['id']}-1", "x", shown=f"{second[:30]} {CURSOR}")
    await left(stack, prompt, text=text, notes=[note(prompt, 0, here, first), away], moved_to=int(dm))
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
    async with stack.running_bot():
        [channel] = stack.texts()
        assert channel.startswith(first[:1900])
        assert shown([channel, *direct(stack, LINUS_ID)]).startswith(squeezed(text)[:3000])
        assert direct(stack, LINUS_ID)[-1].endswith(INTERRUPTED)
        assert not any(left_message(message) for message in stack.replies())
    assert CURSOR not in "".join(direct(stack, LINUS_ID))
    assert stored(stack, prompt["id"])["is_open"] == 0


async def test_a_prompt_that_waited_and_cannot_be_answered_there_is_answered_directly(stopped: Stack):
    stack, prompt = stopped, stopped.ask("Go")
    await left(stack, prompt, kind=PromptKind.CHAT)
    stack.discord.inject(method="POST", route=f"/channels/{GENERAL_ID}/messages", times=-1, **FORBIDDEN)
    async with stack.running_bot():
        await stack.until(lambda: len(direct(stack)) == 2)
        await stack.idle()
    assert direct(stack)[1] == "Hello from the scripted model."


async def test_a_message_that_is_found_as_it_is_to_be_is_noted(stopped: Stack):
    stack, prompt = stopped, stopped.ask("Go")
    told = "⏹️ interrupted by a restart. Please ask again."
    message = posted(stack, prompt, 0, told)
    await left(stack, prompt, notes=[note(prompt, 0, None, told)], age=5000)
    async with stack.running_bot():
        assert stack.texts() == [told]
        owner = await stack.services.store.reply_by_message(int(message["id"]))
    assert owner is not None
    assert owner.prompt_id == int(prompt["id"])
