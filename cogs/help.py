"""What the bot does and how to talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.delivery.interactions import patiently, say
from bot.generation.model_text import code
from bot.intake.message_text import shown_name

if TYPE_CHECKING:
    from bot.bot import OllamaBot

_MODELS_WITHIN = 1.0

_TEXT = """\
I answer with a language model that my host runs, and show the answer while it is written.
**Ask:** {how}. I remember the conversation of each channel, thread and DM on its own.
**Stop:** Click ⏹️ under my answer, delete your question, or use `/stop`.{click}
**Commands:**
- `/ask` – one question on its own, without the conversation
- `/model list`, `/model use`, `/model show` – the models; each channel has its own
- `/reset` – a new conversation in this channel
- `/stop` – stop my answer to you (with Manage Messages: all in the channel)
**Here:** {model}.\
"""

_CLICK = " My own ⏹️ goes at the end; yours stays, as I cannot remove it here, and does nothing more."
_ALL = "Mention me ({me}), reply to one of my messages, or write me a DM"
_MENTIONS = (
    "Mention me ({me}), reply to one of my messages with the ping on, or write me a DM. I cannot see other messages: "
    "the message-content intent is off for me"
)


class Help(commands.Cog):
    """Explains."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    @app_commands.command(name="help")
    async def help(self, interaction: discord.Interaction) -> None:
        """Explain what I can do, how to talk to me and how to stop me."""
        model = await patiently(interaction, self._model(interaction.channel_id or 0), ephemeral=True)
        me = f"@{shown_name(self.bot.user)}" if self.bot.user else "@me"
        how = (_ALL if self.bot.sees_all_messages else _MENTIONS).format(me=me)
        can_remove = interaction.guild_id is not None and interaction.app_permissions.manage_messages
        text = _TEXT.format(how=how, model=model, click="" if can_remove else _CLICK)
        await say(interaction, text, ephemeral=True)

    async def _model(self, channel_id: int) -> str:
        chosen = await self.bot.store.channel_model(channel_id)
        models = await self.bot.catalog.known(within=_MODELS_WITHIN, fresh=True)
        name = chosen or self.bot.catalog.default_among(models)
        if name is None:
            return "no model, as Ollama is out of reach or has none that can answer"
        is_there = models and self.bot.catalog.answers
        return f"{code(name)} answers" + ("" if is_there else ", but Ollama is out of reach right now")


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Help(bot))
