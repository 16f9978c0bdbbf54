"""The figures of the side panel: who is named, what is counted, and for how long."""

from __future__ import annotations

from collections import deque

import pytest

from bot.playground.loopback.rest import RequestRecord
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID, GRACE_ID
from bot.playground.loopback.world import World
from bot.playground.page.lag import LagMeter
from bot.playground.page.metrics import Meter
from bot.playground.page.view import channel_name
from tests.loopback import api_of, loopback, until


class FakeDiscord:
    def __init__(self):
        self.log = deque()
        self.refused = 0

    @property
    def requests(self):
        return len(self.log)

    def edit(self, at, channel="1", *, status=200, command=""):
        route = "/channels/{channel_id}/messages/{message_id}"
        self.log.append(RequestRecord(at, "PATCH", route, "", status, channel_id=channel, command=command))
        self.refused += status == 429


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def discord():
    return FakeDiscord()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics(discord, clock):
    meter = Meter(discord, LagMeter(list), lambda: 0, clock, lambda channel: f"#{channel}")
    return lambda: meter.metrics(5, 5.0)


def test_the_answer_to_a_command_is_a_series_of_its_own(discord, metrics):
    discord.edit(999, "1")
    discord.edit(998, "1")
    discord.edit(998, "1", command="ask")
    assert [(each["name"], sum(each["seconds"]), each["recent"]) for each in metrics()["channels"]] == [
        ("#1", 2, pytest.approx(0.4)),
        ("/ask in #1", 1, pytest.approx(0.2)),
    ]


def test_a_refusal_is_recent_for_a_minute_and_counted_for_ever(discord, metrics, clock):
    discord.edit(999, status=429)
    shown = metrics()
    assert (shown["refused_recent"], shown["refused"]) == (1, 1)
    clock.now += 62
    shown = metrics()
    assert (shown["refused_recent"], shown["refused"]) == (0, 1)


def test_channels_are_called_as_people_call_them():
    world = World()
    thread = world.create_thread(ADA_ID, GENERAL_ID, "a side talk")
    assert channel_name(world, GENERAL_ID) == "#general"
    assert channel_name(world, thread["id"]) == "#a side talk"
    assert channel_name(world, world.open_dm(GRACE_ID)["id"]) == "DM with Grace"
    assert channel_name(world, "5") == "a deleted channel"


async def test_an_edit_over_an_interactions_token_is_placed_where_it_was_used():
    async with loopback() as server, api_of(server) as api:
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask", "type": 1}])
        interaction = server.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {})
        await api("POST", f"/interactions/{interaction.id}/{interaction.token}/callback", {"type": 5})
        path = f"/webhooks/{server.world.bot_user['id']}/{interaction.token}/messages/@original"
        assert (await api("PATCH", path, {"content": "answer"})).status == 200
        await until(lambda: len(server.log) == 2)
        assert (server.log[-1].channel_id, server.log[-1].command) == (GENERAL_ID, "ask")
