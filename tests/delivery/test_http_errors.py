"""Discord's answers as our errors."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp
import discord
import pytest

from bot.delivery.http_errors import parse_rate_headers, rate_limited, translate
from bot.errors import (
    DeliveryForbidden,
    DeliveryRateLimited,
    DeliveryRejected,
    DeliveryRetry,
    MessageGone,
)

GOOD = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "1.5"}


def refused(status: int, code: int = 0) -> discord.HTTPException:
    return discord.HTTPException(SimpleNamespace(status=status, reason="x"), {"code": code, "message": "why"})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 0, DeliveryRejected),
        (400, 50035, DeliveryRejected),
        (400, 200000, DeliveryRejected),
        (403, 200000, DeliveryRejected),
        (403, 20009, DeliveryRejected),
        (413, 40005, DeliveryRejected),
        (400, 50083, DeliveryForbidden),
        (400, 160005, DeliveryForbidden),
        (401, 50027, DeliveryForbidden),
        (401, 0, DeliveryForbidden),
        (403, 50001, DeliveryForbidden),
        (403, 0, DeliveryForbidden),
        (400, 50007, DeliveryForbidden),
        (404, 10008, MessageGone),
        (404, 10003, MessageGone),
        (404, 0, MessageGone),
        (408, 0, DeliveryRetry),
        (429, 0, DeliveryRetry),
        (500, 0, DeliveryRetry),
        (503, 0, DeliveryRetry),
        (524, 0, DeliveryRetry),
    ],
)
def test_each_refusal_has_its_kind(status: int, code: int, kind: type):
    error = translate(refused(status, code))
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize(
    "error", [TimeoutError(), aiohttp.ServerDisconnectedError(), ConnectionResetError(), discord.RateLimited(99)]
)
def test_what_broke_on_the_way_is_tried_again(error: Exception):
    assert type(translate(error)) is DeliveryRetry


def test_our_own_errors_stay_what_they_are():
    error = DeliveryRateLimited(1.0)
    assert translate(error) is error


@pytest.mark.parametrize(
    ("headers", "body", "wait", "scope"),
    [
        ({"Via": "1"}, b'{"retry_after": 0.3, "global": false}', 0.3, "user"),
        ({"Via": "1", "X-RateLimit-Scope": "shared"}, b'{"retry_after": 0.3}', 0.3, "shared"),
        ({"Via": "1"}, b'{"retry_after": 0.3, "global": true}', 0.3, "global"),
        ({"Via": "1", "X-RateLimit-Global": "true"}, b"{}", 5.0, "global"),
        ({"X-RateLimit-Scope": "user"}, b'{"retry_after": 0.3}', 0.3, "user"),  # through a REST proxy
        ({"Retry-After": "30"}, b"<html>", 30.0, "global"),  # Cloudflare
        ({}, b"<html>", 5.0, "global"),
        ({}, b"[1]", 5.0, "global"),
        ({"Via": "1", "Retry-After": "2"}, b"<html>", 2.0, "user"),
        ({"Via": "1"}, b'{"retry_after": "soon"}', 5.0, "user"),
        ({"Via": "1"}, b'{"retry_after": -1}', 5.0, "user"),
        ({"Via": "1"}, b'{"retry_after": 1e999}', 5.0, "user"),
    ],
)
def test_a_429_says_how_long_and_for_what(headers: dict, body: bytes, wait: float, scope: str):
    error = rate_limited(headers, body)
    assert (error.retry_after, error.scope) == (wait, scope)


def test_a_429_keeps_discords_code():
    assert rate_limited({"Via": "1"}, b'{"retry_after": 1, "code": 30046}').code == 30046
    assert rate_limited({"Via": "1"}, b'{"retry_after": 1, "code": "x"}').code == 0


@pytest.mark.parametrize(
    ("headers", "body"), [({"Via": "1"}, b'{"retry_after": 1470173023}'), ({"Retry-After": "1470173023"}, b"<html>")]
)
def test_no_429_makes_the_bot_mute_for_good(headers: dict, body: bytes):
    assert rate_limited(headers, body).retry_after == 3600


def test_rate_headers_are_read():
    headers = parse_rate_headers(GOOD)
    assert headers is not None
    assert (headers.limit, headers.remaining, headers.reset_after) == (5, 4, 1.5)


@pytest.mark.parametrize(
    "change",
    [
        {"X-RateLimit-Limit": "0"},
        {"X-RateLimit-Limit": "many"},
        {"X-RateLimit-Remaining": "-1"},
        {"X-RateLimit-Reset-After": "nan"},
        {"X-RateLimit-Reset-After": "1470173023"},
        {"X-RateLimit-Reset-After": "inf"},
        {"X-RateLimit-Reset-After": "-2"},
    ],
)
def test_rate_headers_that_make_no_sense_are_none(change: dict):
    assert parse_rate_headers(GOOD | change) is None
    assert parse_rate_headers({}) is None
