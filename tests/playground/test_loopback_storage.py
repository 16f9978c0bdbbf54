"""What happened in the world is there again after a restart."""

from __future__ import annotations

import asyncio

import orjson

from bot.playground.loopback.world import World
from tests.loopback import ADA, BOT, GENERAL, GUILD, LINUS, api_of, loopback, until


def test_channels_messages_reactions_and_commands_outlive_a_restart(tmp_path):
    path = tmp_path / "data" / "world.json"
    first = World(data_path=path)
    message = first.send(ADA, GENERAL, "kept", attachments=[{"filename": "a.txt", "data": b"inside"}])
    first.react(LINUS, GENERAL, message["id"], "👍")
    thread = first.create_thread(LINUS, GENERAL, "talk", message_id=message["id"])
    direct = first.open_dm(ADA)
    first.send(ADA, direct["id"], "direct")
    first.send(ADA, first.create_channel("more")["id"], "in more")
    commands = first.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
    first.close()

    second = World(data_path=path)
    assert second.messages(GENERAL) == first.messages(GENERAL)
    assert second.channels == first.channels
    assert second.open_dm(ADA)["id"] == direct["id"]
    assert second.channels[thread["id"]]["name"] == "talk"
    assert second.commands == commands
    attachment = second.messages(GENERAL)[0]["attachments"][0]
    assert second.state.files.get(attachment["id"], "a.txt").data == b"inside"
    assert second.state.files.get(attachment["id"], "b.txt") is None
    assert second.state.files.get(attachment["id"], "../../world.json") is None


def test_new_ids_sort_after_the_loaded_ones_even_if_the_clock_was_set_back(tmp_path):
    path = tmp_path / "world.json"
    first = World(data_path=path, now=lambda: 2_000_000_000.0)
    old = first.send(ADA, GENERAL, "old")
    first.save()
    second = World(data_path=path, now=lambda: 1_000_000_000.0 + 1_000_000_000.0 / 2)
    new = second.send(ADA, GENERAL, "new")
    assert int(new["id"]) > int(old["id"])


def test_ephemeral_messages_and_interactions_are_not_kept(tmp_path):
    path = tmp_path / "world.json"
    world = World(data_path=path)
    world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
    interaction = world.run_command(ADA, GENERAL, ["ask"], {})
    answer = {"type": 4, "data": {"content": "psst", "flags": 64}}
    world.interactions.respond(interaction.id, interaction.token, answer)
    assert len(world.messages(GENERAL, ADA)) == 1
    world.save()
    assert World(data_path=path).messages(GENERAL, ADA) == []
    assert interaction.token not in path.read_text()


async def test_changes_are_saved_soon_and_at_the_end(tmp_path):
    path = tmp_path / "world.json"
    async with loopback(data_path=path) as server:
        server.world.send(ADA, GENERAL, "one")
        await until(path.exists)
        server.world.send(ADA, GENERAL, "two")
        assert "two" not in path.read_text()
    assert "two" in path.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["world.json"]


def test_a_broken_file_is_moved_aside_and_reported(tmp_path, caplog):
    path = tmp_path / "world.json"
    path.write_text("{")
    world = World(data_path=path)
    assert world.messages(GENERAL) == []
    assert (tmp_path / "world.broken").read_text() == "{"
    assert "could not be read" in caplog.text
    world.send(ADA, GENERAL, "x")
    world.save()
    assert orjson.loads(path.read_bytes())["guild_id"] == GUILD


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = World()
    world.send(ADA, GENERAL, "x", attachments=[{"filename": "a", "data": b"x"}])
    world.save()
    world.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_bot_finds_its_messages_after_a_restart_of_the_playground(tmp_path):
    path = tmp_path / "world.json"
    async with loopback(data_path=path) as server, api_of(server) as api:
        made = await api("POST", f"/channels/{GENERAL}/messages", {"content": "before"})
        await asyncio.sleep(0)
    async with loopback(data_path=path) as server, api_of(server) as api:
        edited = await api("PATCH", f"/channels/{GENERAL}/messages/{made.body['id']}", {"content": "after"})
        assert edited.body["content"] == "after"
        assert edited.body["author"]["id"] == BOT
