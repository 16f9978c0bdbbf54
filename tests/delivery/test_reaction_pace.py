"""Reactions of one channel are spaced, those of others are not held up."""

from __future__ import annotations

import asyncio

import pytest

from bot.delivery.reply_api import ReactionPace
from tests.streaming.virtual_time import in_virtual_time


@in_virtual_time
async def test_reactions_of_a_channel_are_spaced_and_those_of_another_go_at_once():
    loop = asyncio.get_running_loop()
    pace = ReactionPace(gap=0.35)
    went: list[tuple[int, float]] = []

    async def react(channel_id: int) -> None:
        await pace.turn(channel_id)
        went.append((channel_id, loop.time()))

    await asyncio.gather(*(react(1) for _ in range(3)), react(2))
    assert [at for channel, at in went if channel == 1] == pytest.approx([0.0, 0.35, 0.7])
    assert [at for channel, at in went if channel == 2] == [0.0]


async def test_channels_whose_turn_has_passed_are_forgotten():
    pace = ReactionPace(gap=0.0)
    for channel_id in range(2000):
        await pace.turn(channel_id)
    assert len(pace._next) < 300
