"""Which model answers here: list, choose, look at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.delivery.interactions import patiently, say, writers_only
from bot.errors import OllamaError
from bot.generation import model_text as describe
from bot.intake.message_text import shown_name
from bot.ollama.names import same_model
from bot.ollama.types import Model, RunningModel

if TYPE_CHECKING:
    from bot.bot import OllamaBot

# Suggestions must be there within 3 s, a slow server or not.
_SUGGEST_WITHIN = 1.5

Name = app_commands.Range[str, 1, 200]


class ModelCommands(commands.GroupCog, group_name="model", group_description="The models that can answer here"):
    """Lists models and sets a channel's; the choice is kept in the store."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    @app_commands.command(name="list")
    async def list_models(self, interaction: discord.Interaction) -> None:
        """Show the installed models and which one answers here."""

        async def look() -> str:
            models = await self.bot.catalog.installed(fresh=True)
            return describe.model_list(models, await self._current(interaction, models))

        await say(interaction, await patiently(interaction, look(), ephemeral=True), ephemeral=True)

    @app_commands.command(name="use")
    @app_commands.describe(name="The model's name, as /model list shows it")
    @writers_only()
    async def use(self, interaction: discord.Interaction, name: Name) -> None:
        """Choose the model that answers in this channel from now on."""

        async def choose() -> tuple[str, bool]:
            models = await self.bot.catalog.installed(fresh=True)
            model = describe.picked(models, name)
            if model is None:
                return describe.not_installed(name, models), False
            model = replace(model, capabilities=await self.bot.catalog.capabilities(model.name))
            if not model.can_complete:
                return describe.cannot_answer(model), False
            await self.bot.store.set_channel_model(_channel(interaction), model.name)
            self.bot.services.preloader.want(model.name)
            name_shown = describe.code(model.name, describe.WHOLE_NAME_LENGTH)
            return f"{name_shown} answers in this channel from the next message on", True

        sentence, is_chosen = await patiently(interaction, choose(), ephemeral=False)
        if is_chosen:
            sentence += f" (chosen by {shown_name(interaction.user)})."
        await say(interaction, sentence, ephemeral=not is_chosen)

    @app_commands.command(name="show")
    @app_commands.describe(name="The model's name; left out, the one that answers here")
    async def show(self, interaction: discord.Interaction, name: Name | None = None) -> None:
        """Tell about a model: size, window, what it can do, whether it is loaded."""

        async def look() -> str:
            models = await self.bot.catalog.installed(fresh=True)
            current = await self._current(interaction, models)
            wanted = name or current or await self.bot.catalog.default()
            model = describe.picked(models, wanted)
            if model is None:
                return describe.not_installed(wanted, models)
            details, num_ctx, running = await asyncio.gather(
                self.bot.ollama.show(model.name), self.bot.catalog.window(model.name), self._running(model.name)
            )
            is_current = current is not None and same_model(model.name, current)
            return describe.model_card(details, num_ctx=num_ctx, model=model, running=running, is_current=is_current)

        await say(interaction, await patiently(interaction, look(), ephemeral=True), ephemeral=True)

    @use.autocomplete("name")
    async def suggest_able(self, interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest models that can answer."""
        return await self._suggest(interaction, typed, able_only=True)

    @show.autocomplete("name")
    async def suggest_any(self, interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest any model."""
        return await self._suggest(interaction, typed, able_only=False)

    async def _suggest(
        self, interaction: discord.Interaction, typed: str, *, able_only: bool
    ) -> list[app_commands.Choice[str]]:
        models = await self.bot.catalog.known(within=_SUGGEST_WITHIN)
        current = await self._current(interaction, models)
        offered = [model for model in models if model.can_complete or not able_only]
        return [
            app_commands.Choice(name=describe.choice_label(model, current), value=describe.choice_value(model))
            for model in describe.suggestions(offered, typed, current)
        ]

    async def _current(self, interaction: discord.Interaction, models: Sequence[Model]) -> str | None:
        chosen = await self.bot.store.channel_model(_channel(interaction))
        return chosen or self.bot.catalog.default_among(models)

    async def _running(self, name: str) -> RunningModel | None:
        try:
            loaded = await self.bot.ollama.ps()
        except OllamaError:  # gateways that speak Ollama's API leave it out
            return None
        return next((model for model in loaded if same_model(model.name, name)), None)


def _channel(interaction: discord.Interaction) -> int:
    assert interaction.channel_id is not None, "commands are used in channels"
    return interaction.channel_id


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(ModelCommands(bot))
