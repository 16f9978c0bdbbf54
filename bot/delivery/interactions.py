"""Answering app commands: in time, once, by whom they are meant for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import discord
from discord import InteractionResponseType, app_commands

from bot.errors import DeliveryRetry, StoreError
from bot.streaming.backoff import Backoff

log = logging.getLogger(__name__)

T = TypeVar("T")

# https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
UNKNOWN_INTERACTION = 10062
ALREADY_ANSWERED = 40060

PATIENCE_SECONDS = 1.5
"""How long a command works before it shows that it does; Discord gives up after 3."""

_WORK_SECONDS = 75.0
"""How long it goes on then: more than all that a command asks Ollama. A database on a disk that hangs has no limit."""

# The first answer: each try, and all of them together; Discord gives up after 3 s.
_TRY_SECONDS, _WITHIN_SECONDS = 1.0, 2.6
# Later ones may take their time: the token is good for a quarter of an hour.
_LATER_TRY_SECONDS, _LATER_WITHIN_SECONDS = 15.0, 60.0

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
        discord.HTTPException: Discord refused it.
        DeliveryRetry: Discord could not be reached for so long that it is too late.
    """
    response = interaction.response
    if response.type is InteractionResponseType.deferred_channel_message:
        await replace_answer(interaction, text)
    elif response.is_done():
        await _insist(
            lambda: interaction.followup.send(text, ephemeral=ephemeral, suppress_embeds=True),
            each=_LATER_TRY_SECONDS,
            within=_LATER_WITHIN_SECONDS,
        )
    else:
        await _answer(
            interaction,
            InteractionResponseType.channel_message,
            lambda: response.send_message(text, ephemeral=ephemeral, suppress_embeds=True),
        )


async def replace_answer(interaction: discord.Interaction, text: str) -> None:
    """Put *text* in the place of what was answered, or of the sign that something is being done.

    Raises:
        discord.HTTPException: Discord refused it, or there was no answer.
        DeliveryRetry: Discord could not be reached.
    """
    await _insist(
        lambda: interaction.edit_original_response(content=text),
        each=_LATER_TRY_SECONDS,
        within=_LATER_WITHIN_SECONDS,
    )


async def defer(interaction: discord.Interaction, *, ephemeral: bool = False) -> int | None:
    """Show that the bot is at it; return the id of the message that shows it, if Discord told.

    Raises:
        discord.HTTPException: Discord refused it.
        DeliveryRetry: Discord could not be reached in time.
    """
    loading = await _answer(
        interaction,
        InteractionResponseType.deferred_channel_message,
        lambda: interaction.response.defer(ephemeral=ephemeral, thinking=True),
    )
    return loading.message_id if loading else None


async def _answer(
    interaction: discord.Interaction, kind: InteractionResponseType, send: Callable[[], Awaitable[T]]
) -> T | None:
    """Give the first answer; None if it arrived, but what Discord said to it was lost."""
    answer = await _insist(send, each=_TRY_SECONDS, within=_WITHIN_SECONDS)
    if not interaction.response.is_done():
        interaction.response._response_type = kind  # noqa: SLF001 - as discord.py would if it had heard of it
    return answer


async def _insist(send: Callable[[], Awaitable[T]], *, each: float, within: float) -> T | None:
    """Send until it arrived: each try so many seconds, no new one after *within* seconds.

    A try that fails may have arrived all the same. Discord refuses the next one
    as a second answer then, and all is well: None is returned. discord.py's own
    tries know nothing of that, nor of broken connections (webhook/async_.py).
    Cancelling is safe here: webhook routes take no part in the global limit.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    backoff = Backoff(base=0.2, cap=2.0)
    while True:
        try:
            async with asyncio.timeout(each):
                return await send()
        except discord.HTTPException as error:
            if backoff.failures and error.code == ALREADY_ANSWERED:
                return None
            if error.status < 500:
                raise
            failure: Exception = error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = error
        delay = backoff.delay()
        if loop.time() + delay > end:
            raise DeliveryRetry(detail=f"an interaction could not be answered: {type(failure).__name__}") from failure
        log.info("Discord does not take an answer to an interaction, trying on: %s", type(failure).__name__)
        await asyncio.sleep(delay)


async def patiently(interaction: discord.Interaction, work: Awaitable[T], *, ephemeral: bool) -> T:
    """Return what *work* returns; show that the bot is at it when that takes longer than Discord waits.

    *work* must not be a request to Discord: it is cancelled if the user
    cannot be told to wait, or waited for too long.

    Raises:
        StoreError: what is asked of Ollama is over by then, so it is the database that hangs.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=PATIENCE_SECONDS)
        if not done:
            await defer(interaction, ephemeral=ephemeral)
            done, _ = await asyncio.wait((task,), timeout=_WORK_SECONDS)
            if not done:
                raise StoreError("the database does not answer in time")
        return task.result()
    finally:
        task.cancel()
