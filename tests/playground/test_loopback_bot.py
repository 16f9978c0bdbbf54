"""An unmodified discord.py bot lives in the loopback Discord."""

from __future__ import annotations

import asyncio

import discord
import pytest

from bot.playground.loopback.world import Permission
from tests.loopback import (
    ADA,
    BOT,
    GENERAL,
    GUILD,
    LINUS,
    MENTION,
    Events,
    bot_in,
    loopback,
    new_bot,
    pointed_at,
    until,
)


async def test_a_bot_becomes_ready_and_knows_guild_channels_and_its_own_role():
    async with loopback() as server, bot_in(server) as bot:
        guild = bot.get_guild(int(GUILD))
        assert [each.name for each in guild.text_channels] == ["general", "code", "random"]
        assert guild.me.id == int(BOT)
        assert guild.self_role.name == "Burble"
        assert guild.get_channel(int(GENERAL)).permissions_for(guild.me).send_messages
        assert server.bot_online
        assert server.world.bot_online
        assert bot.application_flags.gateway_message_content_limited


async def test_the_bot_is_offline_once_it_has_closed():
    async with loopback() as server:
        async with bot_in(server):
            pass
        await until(lambda: not server.bot_online)
        assert not server.gateway.sessions


async def test_a_mention_is_answered_edited_reacted_to_and_deleted():
    async with loopback() as server, bot_in(server) as bot:
        done = asyncio.Event()

        @bot.listen()
        async def on_message(message: discord.Message) -> None:
            if message.author == bot.user or bot.user not in message.mentions:
                return
            async with message.channel.typing():
                reply = await message.reply("one", mention_author=False)
            await reply.edit(content="two")
            await reply.add_reaction("⏹️")
            await reply.remove_reaction("⏹️", bot.user)
            extra = await message.channel.send("gone")
            await extra.delete()
            done.set()

        events = Events(server.world)
        prompt = server.world.send(ADA, GENERAL, f"{MENTION} hello")
        await asyncio.wait_for(done.wait(), 5)
        messages = server.world.messages(GENERAL)
        assert [each["content"] for each in messages] == [f"{MENTION} hello", "two"]
        reply = messages[-1]
        assert reply["referenced_message"]["id"] == prompt["id"]
        assert reply["pinged"] == []
        assert reply["edited_timestamp"] is not None
        assert reply["reactions"] == []
        names = [name for name, _ in events.seen if name != "BOT_STATUS"]
        assert names == [
            "MESSAGE_CREATE", "TYPING_START", "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_REACTION_ADD",
            "MESSAGE_REACTION_REMOVE", "MESSAGE_CREATE", "MESSAGE_DELETE",
        ]  # fmt: skip
        assert server.refused == 0


async def test_the_bot_hears_reactions_edits_deletions_and_typing():
    async with loopback() as server, bot_in(server) as bot:
        heard: list[str] = []

        @bot.listen()
        async def on_raw_reaction_add(payload: discord.RawReactionActionEvent) -> None:
            heard.append(f"+{payload.emoji} by {payload.member.display_name}")

        @bot.listen()
        async def on_raw_reaction_remove(payload: discord.RawReactionActionEvent) -> None:
            heard.append(f"-{payload.emoji} by {payload.user_id}")

        @bot.listen()
        async def on_raw_message_edit(payload: discord.RawMessageUpdateEvent) -> None:
            heard.append(f"edit {payload.message.content}")

        @bot.listen()
        async def on_raw_message_delete(payload: discord.RawMessageDeleteEvent) -> None:
            heard.append(f"delete {payload.message_id}")

        @bot.listen()
        async def on_typing(_channel: object, user: discord.Member, _when: object) -> None:
            heard.append(f"typing {user.display_name}")

        world = server.world
        message = world.send(LINUS, GENERAL, "first")
        world.react(ADA, GENERAL, message["id"], "👍")
        world.unreact(ADA, GENERAL, message["id"], "👍")
        world.edit(LINUS, GENERAL, message["id"], "second")
        world.delete(LINUS, GENERAL, message["id"])
        world.typing(ADA, GENERAL)
        await until(lambda: len(heard) == 5)
        assert heard == [
            "+👍 by Ada", f"-👍 by {ADA}", "edit second", f"delete {message['id']}", "typing Ada",
        ]  # fmt: skip


async def test_a_direct_message_is_answered_in_both_directions():
    async with loopback() as server, bot_in(server) as bot:

        @bot.listen()
        async def on_message(message: discord.Message) -> None:
            if message.guild is None and message.author != bot.user:
                await message.reply("hello yourself")

        channel = server.world.open_dm(ADA)
        server.world.send(ADA, channel["id"], "hello")
        await until(lambda: len(server.world.messages(channel["id"])) == 2)
        opened = await (await bot.fetch_user(int(LINUS))).create_dm()
        await opened.send("unasked")
        assert server.world.messages(str(opened.id))[0]["content"] == "unasked"


async def test_threads_are_made_heard_of_and_written_in():
    async with loopback() as server, bot_in(server) as bot:
        heard: list[str] = []

        @bot.listen()
        async def on_message(message: discord.Message) -> None:
            if isinstance(message.channel, discord.Thread):
                heard.append(f"{message.channel.name}: {message.content}")

        message = server.world.send(LINUS, GENERAL, "starter")
        mine = await (await bot.get_channel(int(GENERAL)).fetch_message(int(message["id"]))).create_thread(name="mine")
        assert mine.id == int(message["id"])
        await mine.send("inside")
        theirs = server.world.create_thread(LINUS, GENERAL, "theirs")
        server.world.send(LINUS, theirs["id"], "there")
        await until(lambda: "theirs: there" in heard)
        assert "mine: inside" in heard
        with pytest.raises(discord.HTTPException) as caught:
            await bot.get_channel(int(GENERAL)).get_partial_message(mine.id).create_thread(name="again")
        assert caught.value.code == 160004


async def test_history_and_single_messages_can_be_read():
    async with loopback() as server, bot_in(server) as bot:
        for number in range(7):
            server.world.send(ADA, GENERAL, str(number))
        channel = bot.get_channel(int(GENERAL))
        assert [each.content async for each in channel.history(limit=3)] == ["6", "5", "4"]
        third = server.world.messages(GENERAL)[2]
        after = channel.history(after=discord.Object(int(third["id"])), limit=2)
        assert [each.content async for each in after] == ["3", "4"]
        around = channel.history(around=discord.Object(int(third["id"])), limit=3)
        assert sorted([each.content async for each in around]) == ["1", "2", "3"]
        assert (await channel.fetch_message(int(third["id"]))).content == "2"


async def test_files_are_uploaded_and_can_be_fetched_again():
    async with loopback() as server, bot_in(server) as bot:
        channel = bot.get_channel(int(GENERAL))
        file = discord.File(__file__, filename="answer.md", description="the answer")
        message = await channel.send("see file", file=file)
        assert message.attachments[0].filename == "answer.md"
        assert message.attachments[0].description == "the answer"
        assert b"uploaded_and_can_be_fetched" in await message.attachments[0].read()
        edited = await message.edit(content="only text", attachments=[])
        assert edited.attachments == []
        upload = {"filename": "notes.txt", "data": b"mine"}
        sent = server.world.send(ADA, GENERAL, "", attachments=[upload])
        received = await channel.fetch_message(int(sent["id"]))
        assert await received.attachments[0].read() == b"mine"


async def test_missing_permissions_come_as_discord_py_expects():
    async with loopback() as server, bot_in(server) as bot:
        channel = bot.get_channel(int(GENERAL))
        message = await channel.send("before")
        server.world.deny(GENERAL, BOT, Permission.SEND_MESSAGES | Permission.ADD_REACTIONS)
        with pytest.raises(discord.Forbidden) as refused:
            await channel.send("after")
        assert refused.value.code == 50013
        with pytest.raises(discord.Forbidden):
            await message.add_reaction("👍")
        await until(lambda: not channel.permissions_for(channel.guild.me).send_messages)
        server.world.deny(GENERAL, BOT, Permission.VIEW_CHANNEL)
        with pytest.raises(discord.Forbidden) as blind:
            await channel.fetch_message(message.id)
        assert blind.value.code == 50001


async def test_a_wrong_token_is_a_login_failure():
    async with loopback() as server:
        bot = new_bot()
        with pointed_at(server), pytest.raises(discord.LoginFailure):
            await bot.login("not.the.token")
        await bot.close()
