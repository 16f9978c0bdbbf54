"""What is registered with Discord, when, and what happens if that fails."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest
from discord import app_commands

from bot import command_sync
from bot.command_sync import sync_commands
from tests.cogs.conftest import Scene

NAMES = {"model list", "model use", "model show", "ask", "stop", "reset", "help"}


def puts(scene: Scene) -> int:
    return sum(record.method == "PUT" and record.path.endswith("/commands") for record in scene.stack.discord.log)


def leaves(scene: Scene) -> list[app_commands.Command[Any, ..., Any]]:
    return [command for command in scene.bot.tree.walk_commands() if isinstance(command, app_commands.Command)]


async def test_these_are_the_commands(scene: Scene):
    assert {command.qualified_name for command in leaves(scene)} == NAMES


async def test_each_command_and_option_is_described(scene: Scene):
    for command in leaves(scene):
        assert 10 < len(command.description) <= 100
        for parameter in command.parameters:
            assert 10 < len(parameter.description) <= 100


async def test_they_are_for_servers_and_the_bots_dms_and_installed_to_servers(scene: Scene):
    for command in scene.bot.tree.get_commands():
        definition = command.to_dict(scene.bot.tree)
        assert definition["contexts"] == [0, 1]
        assert definition["integration_types"] == [0]
        assert definition["default_member_permissions"] is None


async def test_a_second_start_with_the_same_commands_registers_nothing(scene: Scene):
    assert puts(scene) == 1
    await scene.start()
    assert puts(scene) == 1
    assert not (await scene.ada.slash(scene.channel, "stop")).deferred


async def test_a_changed_command_is_registered_again_once(scene: Scene):
    @app_commands.command(name="new", description="something that was not there before")
    async def new(interaction: discord.Interaction) -> None: ...

    scene.bot.tree.add_command(new)
    await sync_commands(scene.bot)
    await sync_commands(scene.bot)
    assert puts(scene) == 2


async def test_another_application_on_the_same_store_registers_its_own(scene: Scene, monkeypatch):
    key = f"commands:{scene.bot.application_id}"
    assert await scene.bot.store.setting(key)
    monkeypatch.setattr(scene.bot._connection, "application_id", 4711)
    scene.stack.discord.inject(method="PUT", route="/applications/*/commands", status=500, times=1)
    monkeypatch.setattr(command_sync, "_RETRY", (60.0, 60.0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sync_commands(scene.bot)
    assert puts(scene) == 2


async def test_a_failing_registration_is_logged_and_tried_again(scene: Scene, monkeypatch, caplog):
    monkeypatch.setattr(command_sync, "_RETRY", (0.01, 0.01))
    key = f"commands:{scene.bot.application_id}"
    await scene.bot.store.set_setting(key, "an older definition")
    scene.stack.discord.inject(method="PUT", route="/applications/*/commands", status=503, times=2)
    await sync_commands(scene.bot)
    assert caplog.text.count("could not be registered") == 2
    assert puts(scene) == 4
    assert await scene.bot.store.setting(key) != "an older definition"
