from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import (
    ContextOverflow,
    ModelMissing,
    NotOllama,
    OllamaBusy,
    OllamaError,
    OllamaStatusError,
    OllamaTLSError,
    OllamaUnauthorized,
    QuotaExceeded,
    StreamError,
)
from bot.ollama.client import OllamaClient
from bot.ollama.failures import error_text, parse_retry_after, status_error
from bot.ollama.types import Message
from tests.ollama.asking import answer_of
from tests.scripted_ollama import ScriptedOllama, error, hang, say, status

RECORDS = [
    json.loads(line)
    for line in (Path(__file__).parent / "samples/http-errors.ndjson").read_text(encoding="utf-8").splitlines()
]
PROMPT = [Message("user", "hi")]


def kind_of(record: dict[str, Any]) -> type[OllamaError]:
    """The error that a record of the table should become."""
    why, code = record["why"], record["status"]
    if ("num_ctx" in why and code == 400) or "shift=false" in why:
        return ContextOverflow
    if "hourly usage limit" in record["body"]:
        return QuotaExceeded
    if code in (429, 502, 503, 504):
        return OllamaBusy
    if code in (401, 403):
        return OllamaUnauthorized
    if code == 404:
        return NotOllama if "wrong base path" in why else ModelMissing
    return OllamaStatusError


async def ask(code: int, body: str | bytes | dict[str, Any] = b"", kind: str = "", **extra: Any) -> OllamaError:
    """The failure of a chat that is answered with this status."""
    async with ScriptedOllama() as server, OllamaClient(server.url) as client:
        server.enqueue(status(code, body, kind, extra or None))
        with pytest.raises(OllamaError) as caught:
            async with client.chat("nope", PROMPT):
                pytest.fail("no error was raised")
    return caught.value


async def test_the_words_of_pythons_gateways_go_to_the_log() -> None:
    failure = await ask(400, {"detail": "Model not found"})
    assert "Model not found" in str(failure)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['status']}-{record['why'][:40]}")
async def test_every_error_of_the_table_becomes_ours_with_its_words(record: dict[str, Any]) -> None:
    failure = await ask(record["status"], record["body"], record["content_type"])
    assert type(failure) is kind_of(record)
    if isinstance(failure, OllamaStatusError):
        assert failure.status == record["status"]
    if record["body"].startswith("{"):
        words = json.loads(record["body"])["error"]
        assert failure.detail.partition("; sign in at")[0] == (
            json.loads(words)["error"]["message"] if words.startswith("{") else words.strip()
        )
    assert "<" not in failure.detail
    assert failure.sentence()


def test_the_table_is_all_there() -> None:
    assert len(RECORDS) >= 31


async def test_a_sign_in_page_is_handed_on() -> None:
    failure = await ask(401, {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=h&key=k"})
    assert isinstance(failure, OllamaUnauthorized)
    assert failure.signin_url == "https://ollama.com/connect?name=h&key=k"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://evil", "https://a> @everyone", 5, None, ""])
async def test_a_sign_in_page_that_is_no_safe_link_is_dropped(url: object) -> None:
    failure = await ask(401, {"error": "unauthorized", "signin_url": url})
    assert isinstance(failure, OllamaUnauthorized)
    assert failure.signin_url is None


async def test_a_missing_model_is_named() -> None:
    failure = await ask(404, {"error": "model 'nope' not found"})
    assert isinstance(failure, ModelMissing)
    assert failure.model == "nope"
    assert "ollama pull nope" in failure.sentence()


def test_a_models_name_cannot_leave_its_inline_code() -> None:
    sentence = ModelMissing("http://127.0.0.1:11434", "x`\n@everyone `\u202ey" + "z" * 500).sentence()
    assert sentence.count("`") == 6  # around the name, `/model use` and `ollama pull …`
    assert "\n" not in sentence
    assert "\u202e" not in sentence
    assert len(sentence) < 350


PAGE = "<!DOCTYPE html><html><head><title>Just a moment</title></head></html>"


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (404, PAGE, NotOllama),
        (400, PAGE, NotOllama),
        (500, PAGE, NotOllama),
        (502, PAGE, OllamaBusy),
        (504, PAGE, OllamaBusy),
        (408, "", OllamaBusy),
        (530, "<html><title>Error 1033</title></html>", OllamaBusy),
        (422, '{"detail":[{"msg":"field required","input":"the question"}]}', OllamaStatusError),
        (524, PAGE, OllamaBusy),
        (401, PAGE, OllamaUnauthorized),
        (403, PAGE, OllamaUnauthorized),
        (404, '{"detail":"Not Found"}', NotOllama),
        (400, "Client sent an HTTP request to an HTTPS server.\n", OllamaTLSError),
        (400, "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>", OllamaTLSError),
        (500, "", OllamaStatusError),
        (500, "[]", OllamaStatusError),
        (500, "5", OllamaStatusError),
        (500, '"boom"', OllamaStatusError),
        (500, '{"error":5}', OllamaStatusError),
        (500, '{"error":{"message":"boom"}}', OllamaStatusError),
        (500, b"\xff\xfe\x00", OllamaStatusError),
        (500, "x" * 500_000, OllamaStatusError),
        (599, '{"error":"boom"}', OllamaStatusError),
    ],
)
async def test_foreign_bodies_become_a_kind_and_a_short_text(
    code: int, body: str | bytes, kind: type[OllamaError]
) -> None:
    failure = await ask(code, body)
    assert type(failure) is kind
    assert "<" not in failure.detail
    assert len(failure.detail) < 400
    assert len(failure.sentence()) < 700


async def test_a_redirect_is_not_followed_but_told() -> None:
    failure = await ask(302, Location="https://user:pw@login.example/?token=secret")
    assert isinstance(failure, OllamaStatusError)
    assert failure.detail == "a redirect to https://login.example/"


async def test_an_endless_error_body_is_not_read() -> None:
    async with ScriptedOllama() as server, OllamaClient(server.url) as client:
        server.enqueue(status(500, "x" * 200_000, "text/plain", {"Content-Length": "1000000000000"}), hang())
        begin = time.monotonic()
        with pytest.raises(OllamaStatusError, match="xxx"):
            async with client.chat("m", PROMPT):
                pytest.fail("no error was raised")
        assert time.monotonic() - begin < 1
        await server.closed()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("99999999999", 3600.0),
        ("1" * 400, 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 -2300", 3600.0),
    ],
)
def test_retry_after_is_read_in_every_shape(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_may_be_a_moment() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert parse_retry_after(moment) == pytest.approx(60, abs=3)


@given(st.text())
def test_no_retry_after_breaks_us(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or 0 <= seconds <= 3600


async def test_busy_says_how_long() -> None:
    failure = await ask(503, {"error": "server busy"}, **{"Retry-After": "3"})
    assert isinstance(failure, OllamaBusy)
    assert failure.retry_after == 3.0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"error": "boom "}, "boom"),
        ({"error": '{"error":{"message":"deep"}}'}, "deep"),
        ({"error": '{"error":"{\\"error\\":\\"deeper\\"}"}'}, "deeper"),
        ({"error": {"error": {"error": {"error": {"error": "endless"}}}}}, ""),
        ({"error": "{not json"}, "{not json"),
        ({"error": "[1]"}, "[1]"),
        ({"message": "words"}, "words"),
        ({"error": None}, ""),
        ([], ""),
        (5, ""),
        (None, ""),
    ],
)
def test_words_are_found_in_every_wrapping(answer: object, text: str) -> None:
    assert error_text(answer) == text


@given(
    st.integers(300, 599),
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["Retry-After", "Location"]), st.text()),
)
def test_no_answer_breaks_the_mapping(code: int, body: bytes, fields: dict[str, str]) -> None:
    assert status_error("http://h", code, fields, body, "m").sentence()


@pytest.mark.parametrize("quoted", ["sesame-0123456789", "hunter2hunter2", "YWRhOmh1bnRlcjJodW50ZXIy"])
@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 503])
async def test_a_proxy_that_quotes_the_key_shows_it_to_nobody(server: ScriptedOllama, quoted: str, code: int) -> None:
    url = server.url.replace("//", "//ada:hunter2hunter2@")
    async with OllamaClient(url, api_key="sesame-0123456789") as client:
        for body in ({"error": f"invalid key: {quoted}!"}, f"<title>invalid key: {quoted}!</title>"):
            server.override("/api/tags", status(code, body))
            server.enqueue(status(code, body))
            with pytest.raises(OllamaError) as whole:
                await client.tags()
            with pytest.raises(OllamaError) as begun:
                async with client.chat("m", PROMPT):
                    pytest.fail("no error was raised")
            for caught in (whole, begun):
                assert quoted not in f"{caught.value} {caught.value.sentence()} {caught.value!r} {caught.value.detail}"
                assert "[secret]" in str(caught.value)


async def test_a_key_in_an_error_line_is_shown_to_nobody(server: ScriptedOllama) -> None:
    server.enqueue(say("one"), error("upstream refused sesame-0123456789"))
    async with OllamaClient(server.url, api_key="sesame-0123456789") as client:
        with pytest.raises(StreamError, match=r"upstream refused \[secret\]") as caught:
            await answer_of(client)
    assert "sesame" not in caught.value.sentence()
