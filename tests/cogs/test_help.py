"""`/help`."""

from __future__ import annotations

from pathlib import Path

from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import BOT_ID
from tests.cogs.conftest import Scene, opened


async def test_it_tells_how_to_talk_how_to_stop_and_names_every_command(scene: Scene):
    result = await scene.ada.slash(scene.channel, "help")
    assert result.ephemeral
    text = result.content
    assert len(text) <= 2000
    for words in ("**Ask:** Mention me", "reply", "DM", "**Stop:** Click ⏹️"):
        assert words in text
    for command in scene.bot.tree.walk_commands():
        if not hasattr(command, "commands") and command.name != "help":
            assert f"`/{command.qualified_name}`" in text
    assert "message-content intent" not in text


async def test_without_the_intent_it_says_what_it_cannot_see(tmp_path: Path):
    async with opened(tmp_path, message_content=False) as scene:
        text = (await scene.ada.slash(scene.channel, "help")).content
    assert "with the ping on" in text
    assert "message-content intent is off" in text


async def test_it_names_the_model_of_the_channel(scene: Scene):
    await scene.ada.slash(scene.channel, "model use", name="qwen3:8b")
    assert "`qwen3:8b` answers." in (await scene.ada.slash(scene.channel, "help")).content
    assert "`llama3.2:latest` answers." in (await scene.ada.slash(scene.other, "help")).content


async def test_it_answers_with_ollama_down(scene: Scene):
    await scene.ollama.stop()
    result = await scene.ada.slash(scene.channel, "help")
    assert "Ollama is out of reach" in result.content


async def test_it_does_not_say_that_a_model_answers_whose_server_went_away(scene: Scene):
    assert "answers." in (await scene.ada.slash(scene.channel, "help")).content
    await scene.ollama.stop()
    text = (await scene.ada.slash(scene.channel, "help")).content
    assert "`llama3.2:latest` answers, but Ollama is out of reach right now." in text


async def test_it_works_in_a_dm(scene: Scene):
    assert "Mention me" in (await scene.ada.slash(scene.ada.dm, "help")).content


async def test_it_explains_a_click_that_it_cannot_take_back(scene: Scene):
    assert "yours stays" in (await scene.ada.slash(scene.channel, "help")).content
    assert "yours stays" in (await scene.ada.slash(scene.ada.dm, "help")).content
    scene.stack.world.set_permissions(scene.channel.key, BOT_ID, allow=int(Permission.MANAGE_MESSAGES))
    assert "yours stays" not in (await scene.ada.slash(scene.channel, "help")).content
