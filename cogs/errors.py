"""Every app command that fails ends in words: the one place where errors become answers."""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.delivery.interactions import ALREADY_ANSWERED, UNKNOWN_INTERACTION, replace_answer, say
from bot.errors import BurbleError, DeliveryError, DeliveryRetry

if TYPE_CHECKING:
    from bot.bot import OllamaBot

log = logging.getLogger(__name__)


class Errors(commands.Cog):
    """Answers for commands that failed.

    In this order: nothing can be said any more (an autocomplete, a deadline that
    was missed, a second answer) → our own errors → what the user may not or
    mistook → a definition that Discord has not taken over yet → everything else,
    with a traceback in the log under a reference that the user is told.
    """

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot
        self._previous = bot.tree.on_error

    async def cog_load(self) -> None:
        """Take over the tree's errors."""
        self.bot.tree.on_error = self.on_app_command_error  # type: ignore[method-assign]  # what tree.error() does

    async def cog_unload(self) -> None:
        """Give them back."""
        self.bot.tree.on_error = self._previous  # type: ignore[method-assign]  # what tree.error() does

    async def on_app_command_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        """Tell who used a command why it failed; nothing raised here would be seen by anybody."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        name = interaction.command.qualified_name if interaction.command else "unknown"
        if interaction.type is discord.InteractionType.autocomplete:
            log.info("No suggestions for /%s: %s", name, cause)
            return
        if isinstance(cause, DeliveryRetry):
            log.warning("/%s: %s", name, cause)
            await _replace_loading(interaction)
            return
        if isinstance(cause, discord.HTTPException) and cause.code in (UNKNOWN_INTERACTION, ALREADY_ANSWERED):
            missed = cause.code == UNKNOWN_INTERACTION
            log.warning("/%s was %s", name, "answered too late" if missed else "answered by another process")
            return
        sentence = _expected(cause)
        if sentence is None:
            sentence = _unexpected(name, cause)
        else:
            log.log(logging.WARNING if isinstance(cause, BurbleError) else logging.INFO, "/%s refused: %s", name, cause)
        await _tell(interaction, name, sentence)


def _expected(cause: Exception) -> str | None:
    """Return the sentence for an error that can happen to anybody, None for a bug."""
    match cause:
        case BurbleError():
            sentence = f"⚠️ {cause.sentence()}"
        case app_commands.CommandNotFound() | app_commands.CommandSignatureMismatch():
            sentence = (
                "That command has just changed, and Discord is still taking the change over. Please type it again."
            )
        case app_commands.TransformerError():
            sentence = "I could not make sense of one of the values. Please check them and try again."
        case app_commands.CheckFailure():
            sentence = str(cause) or "You cannot use that command here."
        case discord.Forbidden():
            sentence = "Discord does not let me do that here: a permission is missing."
        case _:
            return None
    return sentence


def _unexpected(name: str, cause: Exception) -> str:
    reference = secrets.token_hex(4)
    log.error("/%s failed, reference %s", name, reference, exc_info=cause)
    return (
        "⚠️ Something went wrong on my side. Please try again; whoever hosts me finds the cause "
        f"in my log under `{reference}`."
    )


async def _replace_loading(interaction: discord.Interaction) -> None:
    """Say that an answer is lost if one of its tries arrived after all; else Discord has said that nothing came."""
    with contextlib.suppress(discord.DiscordException, DeliveryError):
        await replace_answer(interaction, "⚠️ Discord did not take my answer in time. Please try again.")


async def _tell(interaction: discord.Interaction, name: str, sentence: str) -> None:
    try:
        await say(interaction, sentence, ephemeral=True)
    except (discord.DiscordException, DeliveryError) as error:
        log.warning("Could not tell why /%s failed: %s", name, error)


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Errors(bot))
