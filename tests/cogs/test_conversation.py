"""`/reset`: by anyone who may write there, for that channel, from that moment on."""

from __future__ import annotations

import discord

from bot.conversation.records import PromptKind, PromptRecord, ReplyState
from bot.parts import Text
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import GUILD_ID
from tests.cogs.conftest import Place, Scene


async def said(scene: Scene, message_id: int, *, channel=None) -> None:
    """Store a turn."""
    place = (channel or scene.channel).id
    prompt = PromptRecord(message_id, place, int(GUILD_ID), scene.ada.id, "Ada", (Text("Hi"),), 0.0)
    assert prompt.kind is PromptKind.CHAT
    store = scene.bot.store
    await store.add_prompt(prompt)
    reply = await store.begin_reply(message_id, model="m", at=0.0)
    await store.finish_reply(reply, state=ReplyState.COMPLETE, text="Hello", at=1.0)


async def test_nothing_from_before_is_sent_any_more_but_what_comes_is(scene: Scene):
    before = discord.utils.time_snowflake(discord.utils.utcnow())
    await said(scene, before)
    await said(scene, before + 1, channel=scene.other)
    result = await scene.ada.slash(scene.channel, "reset")
    assert await scene.bot.store.history(scene.channel.id) == []
    assert len(await scene.bot.store.history(scene.other.id)) == 1
    await said(scene, result.id)
    assert len(await scene.bot.store.history(scene.channel.id)) == 1


async def test_a_reply_that_still_runs_belongs_to_the_old_conversation(scene: Scene):
    asked = scene.ada.send(scene.channel, "a question")
    result = await scene.ada.slash(scene.channel, "reset")
    await said(scene, asked)
    assert await scene.bot.store.history(scene.channel.id, before=result.id) == []


async def test_it_is_announced_in_one_line_without_a_ping(scene: Scene):
    hostile = scene.newcomer("@everyone **x**")
    result = await hostile.slash(scene.channel, "reset")
    assert not result.ephemeral
    assert len(result.content.splitlines()) == 1
    assert "@everyone" not in result.content
    assert "\\*\\*x" in result.content
    assert scene.sent("callback")[-1]["data"]["allowed_mentions"] == {"parse": []}


async def test_who_may_not_write_may_not_reset(scene: Scene):
    quiet = scene.place("quiet", scene.linus, deny=Permission.SEND_MESSAGES)
    await said(scene, 5, channel=quiet)
    result = await scene.linus.slash(quiet, "reset")
    assert result.ephemeral
    assert "can write here" in result.content
    assert len(await scene.bot.store.history(quiet.id)) == 1
    assert not (await scene.ada.slash(quiet, "reset")).ephemeral


def thread_in(scene: Scene, place: Place) -> Place:
    start = scene.ada.send(place, "start")
    return Place(scene.stack.world.create_thread(scene.ada.key, place.key, "talk", message_id=str(start))["id"])


async def test_in_a_thread_the_right_to_write_in_threads_counts(scene: Scene):
    closed = scene.place("closed", scene.linus, deny=Permission.SEND_MESSAGES)
    thread = thread_in(scene, closed)
    assert not (await scene.linus.slash(thread, "reset")).ephemeral
    mute = scene.place("mute", scene.linus, deny=Permission.SEND_MESSAGES_IN_THREADS)
    thread = thread_in(scene, mute)
    assert (await scene.linus.slash(thread, "reset")).ephemeral


async def test_it_works_in_a_dm(scene: Scene):
    dm = scene.linus.dm
    await said(scene, 5, channel=dm)
    result = await scene.linus.slash(dm, "reset")
    assert "new conversation" in result.content
    assert await scene.bot.store.history(dm.id) == []
