"""Answering app commands: in time, once, by whom they are meant for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import discord
from discord import app_commands

T = TypeVar("T")

PATIENCE_SECONDS = 1.5
"""How long a command works before it shows that it does; Discord gives up after 3."""

_THREADS = (discord.ChannelType.public_thread, discord.ChannelType.private_thread, discord.ChannelType.news_thread)


class MayNotWrite(app_commands.CheckFailure):
    """Who used the command may not write in that channel."""


class TooManyCommands(app_commands.CheckFailure):
    """Who used the command does so too often; *seconds* is how long to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Not so fast: please try again in {seconds:.0f} s.")


def writes_here(interaction: discord.Interaction) -> bool:
    """Tell whether who used a command may write where they used it.

    Discord computes the permissions for each interaction, threads and roles
    and time-outs included.
    """
    if interaction.guild_id is None:
        return True
    permissions = interaction.permissions
    if interaction.channel is not None and interaction.channel.type in _THREADS:
        return permissions.send_messages_in_threads
    return permissions.send_messages


def writers_only() -> Callable[[T], T]:
    """Refuse a command to those who may not write in the channel.

    Raises:
        MayNotWrite: out of the command's check.
    """

    async def check(interaction: discord.Interaction) -> bool:
        if not writes_here(interaction):
            raise MayNotWrite("Only those who can write here can use this command.")
        return True

    return app_commands.check(check)


async def say(interaction: discord.Interaction, text: str, *, ephemeral: bool) -> None:
    """Answer, whether the user was told to wait before or not; a wait has settled who sees it.

    Raises:
        discord.HTTPException: Discord did not take it.
    """
    if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.edit_original_response(content=text)
    elif interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=ephemeral, suppress_embeds=True)
    else:
        await interaction.response.send_message(text, ephemeral=ephemeral, suppress_embeds=True)


async def patiently(interaction: discord.Interaction, work: Awaitable[T], *, ephemeral: bool) -> T:
    """Return what *work* returns; show that the bot is at it when that takes longer than Discord waits.

    *work* must not be a request to Discord: it is cancelled if the user
    cannot be told to wait.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=PATIENCE_SECONDS)
        if not done:
            await interaction.response.defer(ephemeral=ephemeral, thinking=True)
        return await task
    finally:
        task.cancel()
