"""The limits count as Discord's do: pure counters, headers, and refusals over HTTP."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.playground.loopback.limits import (
    Charge,
    FixedWindow,
    LeakyBucket,
    Limiter,
    LimitSettings,
    bucket_hash,
    refusal,
)
from bot.playground.loopback.snowflake import DISCORD_EPOCH_MS
from tests.loopback import ADA, BOT, CODE, GENERAL, api_of, bot_in, loopback


def test_a_fixed_window_opens_with_its_first_request_and_gives_all_back_at_its_end():
    window = FixedWindow()
    first = window.hit(100.0, 5, 5.0)
    assert (first.allowed, first.remaining, first.reset_after) == (True, 4, 5.0)
    assert [window.hit(102.0, 5, 5.0).remaining for _ in range(4)] == [3, 2, 1, 0]
    refused = window.hit(103.0, 5, 5.0)
    assert (refused.allowed, refused.reset_after, refused.retry_after) == (False, 2.0, 2.0)
    anew = window.hit(105.0, 5, 5.0)
    assert (anew.allowed, anew.remaining, anew.reset_after) == (True, 4, 5.0)


def test_a_leaking_bucket_gives_back_one_by_one():
    bucket = LeakyBucket()
    first = bucket.hit(100.0, 5, 5.0)
    assert (first.allowed, first.remaining, first.reset_after) == (True, 4, 1.0)
    rest = [bucket.hit(100.0, 5, 5.0) for _ in range(4)]
    assert [each.remaining for each in rest] == [3, 2, 1, 0]
    assert [each.reset_after for each in rest] == [2.0, 3.0, 4.0, 5.0]
    refused = bucket.hit(100.4, 5, 5.0)
    assert not refused.allowed
    assert refused.retry_after == pytest.approx(0.6)
    assert refused.reset_after == pytest.approx(4.6)
    assert bucket.hit(101.0, 5, 5.0).allowed
    assert not bucket.hit(101.5, 5, 5.0).allowed


def test_a_steady_request_a_second_never_empties_a_leaking_bucket_of_five_in_five():
    bucket = LeakyBucket()
    assert all(bucket.hit(float(second), 5, 5.0).allowed for second in range(100))


@pytest.mark.parametrize("kind", [FixedWindow, LeakyBucket])
@given(gaps=st.lists(st.floats(0, 3), max_size=60), limit=st.integers(1, 10), period=st.floats(0.1, 10))
def test_no_window_lets_more_through_than_its_limit_and_a_wait_as_told_is_enough(kind, gaps, limit, period):
    counter = kind()
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        verdict = counter.hit(now, limit, period)
        if not verdict.allowed:
            now += verdict.retry_after + 1e-6
            assert verdict.retry_after > 0
            assert counter.hit(now, limit, period).allowed
        passed.append(now)
    # However a window lies, at most twice its limit fits it (the end of one window, the start of the next).
    assert all(sum(start <= each < start + period for each in passed) <= 2 * limit for start in passed)


def test_post_and_patch_share_a_hash_and_count_apart():
    clock = 10.0
    limiter = Limiter(LimitSettings(), lambda: clock, lambda: 1000.0)
    post, edit = Charge("post", "1", "messages"), Charge("edit", "1", "messages")
    for _ in range(5):
        assert limiter.decide([post], is_global=True).body is None
    assert limiter.decide([post], is_global=True).body is not None
    passed = limiter.decide([edit], is_global=True)
    assert passed.body is None
    assert passed.headers == {
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "4",
        "X-RateLimit-Reset": "1005.000",
        "X-RateLimit-Reset-After": "5.000",
        "X-RateLimit-Bucket": bucket_hash("messages"),
    }
    assert limiter.decide([Charge("post", "2", "messages")], is_global=True).body is None
    assert limiter.refused == 1


def test_limits_change_while_they_run():
    clock = 0.0
    settings = LimitSettings()
    limiter = Limiter(settings, lambda: clock, lambda: clock)
    edit = [Charge("edit", "1", "messages")]
    assert limiter.decide(edit, is_global=False).headers["X-RateLimit-Remaining"] == "4"
    settings.edit_limit = 2
    assert limiter.decide(edit, is_global=False).headers["X-RateLimit-Remaining"] == "0"
    assert limiter.decide(edit, is_global=False).body is not None
    settings.kind = "leaky"
    assert limiter.decide(edit, is_global=False).headers["X-RateLimit-Reset-After"] == "2.500"
    settings.overrides["edit", "1"] = (3, 10.0)
    assert limiter.decide(edit, is_global=False).headers["X-RateLimit-Limit"] == "3"
    settings.off.add("edit")
    assert limiter.decide(edit, is_global=False).headers == {}


def test_a_global_refusal_says_so_in_headers_and_body():
    limiter = Limiter(LimitSettings(global_limit=1), lambda: 0.0, lambda: 0.0)
    assert limiter.decide([], is_global=True).body is None
    refused = limiter.decide([], is_global=True)
    assert refused.body == {"message": "You are being rate limited.", "retry_after": 1.0, "global": True}
    assert refused.headers == {"Retry-After": "1", "X-RateLimit-Scope": "global", "X-RateLimit-Global": "true"}
    assert limiter.decide([], is_global=False).body is None


def test_a_refusal_rounds_up_so_that_waiting_is_enough():
    assert refusal(0.00012).body["retry_after"] == 0.001
    assert refusal(0.3, scope="shared", code=20028).body["code"] == 20028


async def test_a_429_has_discords_headers_and_body():
    async with loopback(scale=1.0) as server, api_of(server) as api:
        answers = [await api("POST", f"/channels/{GENERAL}/messages", {"content": str(each)}) for each in range(6)]
        assert [each.status for each in answers] == [200] * 5 + [429]
        assert [each.headers["X-RateLimit-Remaining"] for each in answers[:5]] == ["4", "3", "2", "1", "0"]
        refused = answers[-1]
        assert refused.headers["Via"]
        assert refused.headers["Content-Type"] == "application/json"
        assert refused.headers["X-RateLimit-Scope"] == "user"
        assert refused.body["global"] is False
        assert 4 < refused.body["retry_after"] <= 5
        assert server.refused == 1
        assert len(server.world.messages(GENERAL)) == 5
        edit = await api("PATCH", f"/channels/{GENERAL}/messages/{answers[0].body['id']}", {"content": "edited"})
        assert edit.status == 200
        assert edit.headers["X-RateLimit-Remaining"] == "4"
        assert edit.headers["X-RateLimit-Bucket"] == answers[0].headers["X-RateLimit-Bucket"]
        assert (await api("POST", f"/channels/{CODE}/messages", {"content": "elsewhere"})).status == 200


async def test_reactions_typing_and_deletions_have_limits_of_their_own():
    async with loopback(scale=1.0) as server, api_of(server) as api:
        message = server.world.send(ADA, GENERAL, "x")["id"]
        path = f"/channels/{GENERAL}/messages/{message}/reactions"
        assert (await api("PUT", f"{path}/%F0%9F%91%8D/@me")).status == 204
        second = await api("DELETE", f"{path}/%F0%9F%91%8D/@me")
        assert second.status == 429
        assert second.body["retry_after"] <= 0.25
        typed = [(await api("POST", f"/channels/{GENERAL}/typing")).status for _ in range(6)]
        assert typed == [204] * 5 + [429]
        young = await api("DELETE", f"/channels/{GENERAL}/messages/{message}")
        assert young.status == 403  # not the bot's, and yet counted
        old = (int(time_of(server) * 1000) - DISCORD_EPOCH_MS - 60_000) << 22
        older = await api("DELETE", f"/channels/{GENERAL}/messages/{old}")
        assert older.status == 404
        assert young.headers["X-RateLimit-Bucket"] != older.headers["X-RateLimit-Bucket"]
        assert older.headers["X-RateLimit-Limit"] == "3"


def time_of(server):
    return server.world.now()


async def test_edits_of_messages_older_than_an_hour_are_limited_with_their_own_code():
    moment = [1_700_000_000.0]
    async with loopback(scale=1.0, now=lambda: moment[0]) as server, api_of(server) as api:
        made = await api("POST", f"/channels/{GENERAL}/messages", {"content": "old"})
        moment[0] += 3700
        path = f"/channels/{GENERAL}/messages/{made.body['id']}"
        answers = [await api("PATCH", path, {"content": str(each)}) for each in range(4)]
        assert [each.status for each in answers] == [200, 200, 200, 429]
        assert answers[-1].body["code"] == 30046
        assert 5 < answers[-1].body["retry_after"] <= 6


async def test_the_global_limit_spares_interactions():
    async with loopback(scale=10.0) as server, api_of(server) as api:
        answers = await asyncio.gather(*(api("GET", "/users/@me") for _ in range(51)))
        refused = [each for each in answers if each.status == 429]
        assert len(refused) == 1
        assert refused[0].headers["X-RateLimit-Global"] == "true"
        assert refused[0].body["global"] is True
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        interaction = server.world.run_command(ADA, GENERAL, ["ask"], {})
        path = f"/interactions/{interaction.id}/{interaction.token}/callback"
        assert (await api("POST", path, {"type": 5})).status == 204
        hook = f"/webhooks/{BOT}/{interaction.token}/messages/@original"
        edits = [(await api("PATCH", hook, {"content": str(each)})).status for each in range(6)]
        assert edits == [200] * 5 + [429]


async def test_followups_share_a_hidden_limit_of_the_channel():
    async with loopback(scale=1.0) as server, api_of(server) as api:
        server.limits.webhook_limit = 2
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        interaction = server.world.run_command(ADA, GENERAL, ["ask"], {})
        path = f"/interactions/{interaction.id}/{interaction.token}/callback"
        await api("POST", path, {"type": 4, "data": {"content": "first"}})
        hook = f"/webhooks/{BOT}/{interaction.token}"
        answers = [await api("POST", hook, {"content": "more"}) for _ in range(3)]
        assert [each.status for each in answers] == [200, 200, 429]
        assert answers[-1].headers["X-RateLimit-Scope"] == "shared"
        assert "X-RateLimit-Bucket" not in answers[-1].headers


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
async def test_discord_py_waits_as_it_is_told_and_is_never_refused(kind):
    async with loopback(kind=kind, scale=0.02) as server, bot_in(server) as bot:
        channel = bot.get_channel(1191000000000000030)
        message = await channel.send("0")
        for count in range(12):
            message = await message.edit(content=str(count))
        assert server.refused == 0
        assert server.world.messages(GENERAL)[0]["content"] == "11"


async def test_switched_off_limits_send_no_headers():
    async with loopback(scale=1.0) as server, api_of(server) as api:
        server.limits.off |= {"post", "global"}
        answers = [await api("POST", f"/channels/{GENERAL}/messages", {"content": "x"}) for _ in range(8)]
        assert {each.status for each in answers} == {200}
        assert "X-RateLimit-Limit" not in answers[0].headers
