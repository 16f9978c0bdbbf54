"""`/stop`, ⏹️ and deletions: who may, and what is left alone."""

from __future__ import annotations

import pytest

from bot.conversation.records import PromptRecord
from bot.generation.session import Session
from bot.parts import Text
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import GUILD_ID
from tests.cogs.conftest import Person, Scene


class Shown:
    """A sink that says which messages it shows."""

    def __init__(self, *message_ids: int) -> None:
        self.message_ids = list(message_ids)


async def running_reply(scene: Scene, asker: Person, *, channel=None) -> Session:
    """A reply to a message of *asker* that waits for its model."""
    channel = channel or scene.channel
    message_id = asker.send(channel, "a question")
    prompt = PromptRecord(message_id, channel.id, int(GUILD_ID), asker.id, "Ada", (Text("Hi"),), 0.0)
    reply = scene.bot.queue.enter(prompt, lambda _: None)
    reply.sink = Shown(scene.grace.send(channel, "stands for the bot's message"))  # type: ignore[assignment]
    return reply


async def heard(scene: Scene) -> None:
    """Wait until the bot has heard of everything that happened: its answer to a command comes after that."""
    await scene.ada.slash(scene.channel, "help")


def words(reply: Session) -> str | None:
    return reply.cause.words if reply.cause else None


async def test_the_command_stops_ones_own_replies_in_that_channel(scene: Scene):
    mine, queued = [await running_reply(scene, scene.ada) for _ in range(2)]
    elsewhere = await running_reply(scene, scene.ada, channel=scene.other)
    others = await running_reply(scene, scene.linus)
    result = await scene.ada.slash(scene.channel, "stop")
    assert result.ephemeral
    assert result.content == "Stopped 2 answers."
    assert [words(mine), words(queued)] == [" by Ada", " by Ada"]
    assert [words(elsewhere), words(others)] == [None, None]


async def test_with_manage_messages_the_command_stops_everybodys(scene: Scene):
    replies = [await running_reply(scene, who) for who in (scene.ada, scene.linus)]
    elsewhere = await running_reply(scene, scene.ada, channel=scene.other)
    result = await scene.grace.slash(scene.channel, "stop")
    assert result.content == "Stopped 2 answers."
    assert [words(reply) for reply in replies] == [" by Grace", " by Grace"]
    assert words(elsewhere) is None


async def test_manage_messages_elsewhere_is_none_here(scene: Scene):
    own = scene.place("linus", scene.linus, allow=Permission.MANAGE_MESSAGES)
    here, there = await running_reply(scene, scene.ada), await running_reply(scene, scene.ada, channel=own)
    assert "Only who asked" in (await scene.linus.slash(scene.channel, "stop")).content
    await scene.linus.slash(own, "stop")
    assert (words(here), words(there)) == (None, " by Linus")


async def test_others_are_told_why_not(scene: Scene):
    reply = await running_reply(scene, scene.ada)
    result = await scene.linus.slash(scene.channel, "stop")
    assert result.ephemeral
    assert result.content == "Only who asked, or who can manage messages here, can stop that."
    assert words(reply) is None


async def test_nothing_to_stop_is_said(scene: Scene):
    assert (await scene.ada.slash(scene.channel, "stop")).content == "Nothing is running here."


async def test_stopping_twice_says_that_it_is_stopping(scene: Scene):
    await running_reply(scene, scene.ada)
    await scene.ada.slash(scene.channel, "stop")
    assert "stopping already" in (await scene.ada.slash(scene.channel, "stop")).content


async def test_who_stopped_is_named_without_markup(scene: Scene):
    tricky = scene.newcomer("**Eve** @here")
    reply = await running_reply(scene, tricky)
    await tricky.slash(scene.channel, "stop")
    assert "\\*\\*Eve" in words(reply)
    assert "@here" not in words(reply)


@pytest.mark.parametrize("emoji", ["⏹️", "⏹"])
@pytest.mark.parametrize("on", ["prompt", "reply"])
@pytest.mark.parametrize(("who", "stops"), [("ada", True), ("grace", True), ("linus", False)])
async def test_the_reaction_counts_from_the_asker_and_moderators(scene: Scene, emoji, on, who, stops):
    reply = await running_reply(scene, scene.ada)
    message_id = reply.prompt.message_id if on == "prompt" else reply.sink.message_ids[0]
    scene.stack.world.react(getattr(scene, who).key, scene.channel.key, str(message_id), emoji)
    if stops:
        await scene.stack.until(lambda: words(reply))
    else:
        await heard(scene)
        assert words(reply) is None


async def test_another_emoji_stops_nothing(scene: Scene):
    reply = await running_reply(scene, scene.ada)
    for message_id in (reply.prompt.message_id, *reply.sink.message_ids):
        scene.stack.world.react(scene.ada.key, scene.channel.key, str(message_id), "👍")
    await heard(scene)
    assert words(reply) is None


@pytest.mark.parametrize(("on", "what"), [("prompt", "the question"), ("reply", "a message of the answer")])
async def test_deleting_a_message_stops_its_reply_quietly(scene: Scene, on: str, what: str):
    reply = await running_reply(scene, scene.ada)
    message_id = reply.prompt.message_id if on == "prompt" else reply.sink.message_ids[0]
    scene.stack.world.delete(scene.grace.key, scene.channel.key, str(message_id))
    await scene.stack.until(lambda: words(reply))
    assert words(reply) == f": {what} was deleted"
    assert reply.cause.is_silent


async def test_in_a_dm_the_asker_stops_their_own(scene: Scene):
    dm = scene.ada.dm
    prompt = PromptRecord(5, dm.id, None, scene.ada.id, "Ada", (Text("Hi"),), 0.0)
    reply = scene.bot.queue.enter(prompt, lambda _: None)
    await scene.ada.slash(dm, "stop")
    assert words(reply) == " by Ada"
