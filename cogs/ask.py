"""One question on its own, answered over the interaction."""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.conversation.records import PromptKind, PromptRecord
from bot.delivery.interactions import defer, say, writers_only
from bot.generation import model_text as describe
from bot.intake.message_text import option_text, place_of
from bot.markdown.dress import quote
from bot.parts import Text
from bot.streaming.transcript import Transcript

if TYPE_CHECKING:
    from bot.bot import OllamaBot

log = logging.getLogger(__name__)

# As Ollama names them (types/model/name.go): host/namespace/model:tag.
_MODEL_NAME = re.compile(r"[\w./:@-]+", re.ASCII)
# Both come before the first answer, which is due within 3 s.
_KNOWN_WITHIN = 1.0
_SUGGEST_WITHIN = 1.5


class Ask(commands.Cog):
    """Answers without a conversation, and without waiting for the channel's."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    @app_commands.command(name="ask")
    @app_commands.describe(
        prompt="Your question; I answer it without what was said before",
        model="Who answers; left out, the model of this channel",
    )
    @writers_only()
    async def ask(
        self,
        interaction: discord.Interaction,
        prompt: app_commands.Range[str, 1, 6000],
        model: app_commands.Range[str, 1, 200] | None = None,
    ) -> None:
        """Ask one question on its own: nothing from before is sent, nothing is remembered."""
        assert self.bot.user is not None, "interactions come after READY"
        text = option_text(prompt, interaction.guild, self.bot.user)
        record = _record(interaction, text)
        self.bot.responder.admit(record)
        chosen, refusal = await self._choice(model)
        if not text:
            refusal = "There is no question in that. Please write one."
        if refusal:
            await say(interaction, refusal, ephemeral=True)
            return
        loading_id = await defer(interaction)
        header = quote(text)
        transcript = Transcript(
            record.channel_id, str(interaction.id), header=header, by_token=True, original_id=loading_id
        )
        permissions = interaction.app_permissions if interaction.guild_id else None
        await self.bot.responder.respond(
            record,
            partial(self.bot.open_reply, transcript, permissions),
            model=chosen,
        )

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Note our own messages: the answer to the request that sent one may get lost."""
        if self.bot.user is not None and message.author.id == self.bot.user.id:
            self.bot.followups.note(message)

    @ask.autocomplete("model")
    async def suggest(self, interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest models that can answer."""
        models = await self.bot.catalog.known(within=_SUGGEST_WITHIN)
        current = await self.bot.store.channel_model(interaction.channel_id or 0)
        current = current or self.bot.catalog.default_among(models)
        able = [model for model in models if model.can_complete]
        return [
            app_commands.Choice(name=describe.choice_label(model, current), value=describe.choice_value(model))
            for model in describe.suggestions(able, typed, current)
        ]

    async def _choice(self, name: str | None) -> tuple[str | None, str]:
        """Return who is to answer, and why that one cannot (or nothing), as far as that is known in time."""
        if name is None:
            return None, ""
        for fresh in (False, True):
            models = await self.bot.catalog.known(within=_KNOWN_WITHIN, fresh=fresh)
            model = describe.picked(models, name)
            if model is not None:
                return model.name, "" if model.can_complete else describe.cannot_answer(model)
        # with Ollama out of reach nothing is known: the answer will say so
        is_possible = not models and _MODEL_NAME.fullmatch(name.strip())
        return name, "" if is_possible else describe.not_installed(name, models)


def _record(interaction: discord.Interaction, text: str) -> PromptRecord:
    return PromptRecord(
        message_id=interaction.id,
        channel_id=_channel(interaction),
        guild_id=interaction.guild_id,
        author_id=interaction.user.id,
        author_name=interaction.user.display_name,
        parts=(Text(text),) if text else (),
        created_at=interaction.created_at.timestamp(),
        kind=PromptKind.ASK,
        place=place_of(interaction.channel, interaction.guild),
        token=interaction.token,
    )


def _channel(interaction: discord.Interaction) -> int:
    assert interaction.channel_id is not None, "commands are used in channels"
    return interaction.channel_id


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Ask(bot))
