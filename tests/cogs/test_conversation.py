"""`/reset`: by anyone who may write there, for that channel, from that moment on."""

from __future__ import annotations

import discord

from bot.conversation.records import PromptKind, PromptRecord, ReplyState
from bot.parts import Text
from tests.cogs.conftest import Scene


async def said(scene: Scene, message_id: int, *, channel=None) -> None:
    """Store a turn."""
    prompt = PromptRecord(
        message_id, (channel or scene.channel).id, scene.guild.id, scene.ada.id, "Ada", (Text("Hi"),), 0.0
    )
    assert prompt.kind is PromptKind.CHAT
    store = scene.bot.store
    await store.add_prompt(prompt)
    reply = await store.begin_reply(message_id, model="m", at=0.0)
    await store.finish_reply(reply, state=ReplyState.COMPLETE, text="Hello", at=1.0)


async def test_nothing_from_before_is_sent_any_more_but_what_comes_is(scene: Scene):
    before = discord.utils.time_snowflake(scene.env.now())
    await said(scene, before)
    await said(scene, before + 1, channel=scene.other)
    result = await scene.ada.slash(scene.channel, "reset")
    assert await scene.bot.store.history(scene.channel.id) == []
    assert len(await scene.bot.store.history(scene.other.id)) == 1
    await said(scene, result.response.id)
    assert len(await scene.bot.store.history(scene.channel.id)) == 1


async def test_a_reply_that_still_runs_belongs_to_the_old_conversation(scene: Scene):
    asked = (await scene.ada.send(scene.channel, "a question")).id
    result = await scene.ada.slash(scene.channel, "reset")
    await said(scene, asked)
    assert await scene.bot.store.history(scene.channel.id, before=result.response.id) == []


async def test_it_is_announced_in_one_line_without_a_ping(scene: Scene):
    hostile = scene.guild.add_member(scene.env.create_user("@everyone **x**"))
    result = await hostile.slash(scene.channel, "reset")
    assert not result.ephemeral
    assert len(result.response.content.splitlines()) == 1
    assert "@everyone" not in result.response.content
    assert "\\*\\*x" in result.response.content
    sent = [entry.json for entry in scene.env.http_requests if "callback" in entry.path][-1]
    assert sent["data"]["allowed_mentions"] == {"parse": []}


async def test_who_may_not_write_may_not_reset(scene: Scene):
    quiet = scene.guild.create_text_channel(
        "quiet", overwrites={scene.linus: discord.PermissionOverwrite(send_messages=False)}
    )
    await said(scene, 5, channel=quiet)
    result = await scene.linus.slash(quiet, "reset")
    assert result.ephemeral
    assert "can write here" in result.response.content
    assert len(await scene.bot.store.history(quiet.id)) == 1
    assert not (await scene.ada.slash(quiet, "reset")).ephemeral


async def test_in_a_thread_the_right_to_write_in_threads_counts(scene: Scene):
    closed = scene.guild.create_text_channel(
        "closed", overwrites={scene.linus: discord.PermissionOverwrite(send_messages=False)}
    )
    start = await scene.ada.send(closed, "start")
    await scene.bot.get_channel(closed.id).get_partial_message(start.id).create_thread(name="talk")
    [thread] = closed.threads
    assert not (await scene.linus.slash(thread, "reset")).ephemeral
    mute = scene.guild.create_text_channel(
        "mute", overwrites={scene.linus: discord.PermissionOverwrite(send_messages_in_threads=False)}
    )
    start = await scene.ada.send(mute, "start")
    await scene.bot.get_channel(mute.id).get_partial_message(start.id).create_thread(name="talk")
    [thread] = mute.threads
    assert (await scene.linus.slash(thread, "reset")).ephemeral


async def test_it_works_in_a_dm(scene: Scene):
    user = scene.linus.user
    await said(scene, 5, channel=user.dm_channel)
    result = await user.slash("reset")
    assert "new conversation" in result.response.content
    assert await scene.bot.store.history(user.dm_channel.id) == []
