from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from itertools import pairwise
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import (
    ContextOverflow,
    FirstByteTimeout,
    IdleTimeout,
    NotOllama,
    OllamaError,
    ProtocolError,
    StreamCut,
    StreamError,
)
from bot.ollama.client import OllamaClient, Timeouts
from bot.ollama.stream import ChatStream
from bot.ollama.types import ChatChunk, Message, parse_chat_chunk
from tests.scripted_ollama import (
    Script,
    ScriptedOllama,
    cut,
    done,
    end,
    error,
    hang,
    headers,
    pause,
    raw,
    reset,
    say,
    status,
    think,
    token,
    tool_call,
    wire,
)

SAMPLES = Path(__file__).parent / "samples"
PROMPT = [Message("user", "hi")]
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"


def m(content: str, *, last: bool = False) -> bytes:
    """One line of a chat."""
    return json.dumps({"message": {"content": content}, "done": last}, ensure_ascii=False).encode() + b"\n"


_zip = zlib.compressobj(wbits=31)
ZIPPED = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9999\r\n\r\n"
ZIPPED += _zip.compress(m("one")) + _zip.flush(zlib.Z_SYNC_FLUSH)


async def play(*script: Script, idle: float = 5.0, first: float = 5.0) -> tuple[list[ChatChunk], OllamaError | None]:
    """Ask once; return the chunks that came and the failure that came after them."""
    got: list[ChatChunk] = []
    timeouts = Timeouts(idle=idle, first_byte=first)
    async with ScriptedOllama() as server, OllamaClient(server.url, timeouts=timeouts) as client:
        server.enqueue(*script)
        try:
            async with client.chat("m", PROMPT) as stream:
                async for chunk in stream:
                    got.append(chunk)  # noqa: PERF401 - what came before a failure is the point
        except OllamaError as failure:
            return got, failure
    return got, None


def text(chunks: list[ChatChunk]) -> str:
    return "".join(chunk.content for chunk in chunks)


FAILURES = {
    "clean end without done": ([say("one two"), end()], "one two", StreamCut),
    "closed without terminator": ([say("one two"), cut()], "one two", StreamCut),
    "reset after text": ([say("one two"), pause(0.01), reset()], "one two", StreamCut),
    "empty 200": ([end()], "", StreamCut),
    "half a line at the end": ([token("one"), raw(b'{"model":"m","mess')], "one", StreamCut),
    "half a line and nothing else": ([raw(b'{"model":"m","mess')], "", StreamCut),
    "half a line, then closed": ([token("one"), raw(b'{"model":"m","mess'), cut()], "one", StreamCut),
    "error line": ([token("one"), error("boom")], "one", StreamError),
    "error line first": ([error("boom")], "", StreamError),
    "error without newline": ([token("one"), raw(b'{"error":"boom"}')], "one", StreamError),
    "error without newline, then closed": ([token("one"), raw(b'{"error":"boom"}'), cut()], "one", StreamError),
    "error with Go's fields": (
        [token("one"), raw(b'{"StatusCode":500,"Status":"x","error":"boom"}')],
        "one",
        StreamError,
    ),
    "error that is an object": ([token("one"), raw(b'{"error":{"message":"boom"}}\n')], "one", StreamError),
    "error that is a number": ([token("one"), raw(b'{"error":5}\n')], "one", StreamError),
    "error beside a message": ([raw(b'{"error":"boom","message":{"content":"x"}}\n')], "", StreamError),
    "status 200 with only an error": ([status(200, {"error": "boom"})], "", StreamError),
    "broken line in the middle": ([token("one"), raw(b'{"a\n'), token("two"), done()], "one", ProtocolError),
    "lines that are no objects, and nothing else": ([raw(b"[]\n5\n")], "", NotOllama),
    "half an object over lines": ([token("one"), raw(b'{\n "model": "m",\n')], "one", StreamCut),
    "broken object over lines": ([token("one"), raw(b'{\n "a" 5\n}\n'), done()], "one", ProtocolError),
    "an error that is empty, alone": ([token("one"), raw(b'{"error":""}\n')], "one", StreamError),
    "SSE": ([raw(b'data: {"choices":[]}\n\n')], "", NotOllama),
    "LM Studio": ([status(200, {"error": "Unexpected endpoint or method. (POST /api/chat)."})], "", NotOllama),
    "SSE comment": ([raw(b": ping\n\n")], "", NotOllama),
    "OpenAI-style lines": ([raw(b'{"choices":[{"delta":{"content":"x"}}]}\n')], "", NotOllama),
    "web page": ([raw(b"<!doctype html>\n<title>Sign in</title>\n")], "", NotOllama),
    "web page without newline": ([status(200, "<html>login</html>", "text/html")], "", NotOllama),
    "plain text": ([status(200, "Ollama is running", "text/plain")], "", NotOllama),
    "bad chunked coding later": ([token("one"), pause(0.01), wire(b"zz\r\nzz\r\n"), hang()], "one", StreamCut),
    "bad gzip": ([status(200, b"garbage" * 99, "", {"Content-Encoding": "gzip"})], "", OllamaError),
    "bad gzip later": ([wire(ZIPPED), pause(0.01), wire(b"garbage" * 99), hang()], "one", StreamCut),
    "bad chunked coding": ([wire(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nx\r\nzz")], "", OllamaError),
    "length and chunked coding": ([wire(HEAD + b"Content-Length: 5\r\n" + CHUNKED + m("one")), cut()], "", OllamaError),
    "content length too large": ([wire(HEAD + b"Content-Length: 999\r\n\r\n" + m("one")), cut()], "one", StreamCut),
    "close-delimited": ([wire(b"HTTP/1.0 200 OK\r\n\r\n" + m("one")), cut()], "one", StreamCut),
    "stall after text": ([say("one two"), hang()], "one two", IdleTimeout),
    "stall within a line": ([token("one"), raw(b'{"mess'), hang()], "one", IdleTimeout),
}


@pytest.mark.parametrize(("script", "kept", "kind"), FAILURES.values(), ids=FAILURES)
async def test_the_text_before_a_failure_is_kept_and_the_failure_told(
    script: Script, kept: str, kind: type[OllamaError]
) -> None:
    chunks, failure = await play(script, idle=0.15)
    assert text(chunks) == kept
    assert isinstance(failure, kind)
    assert failure.sentence()
    assert not any(chunk.done for chunk in chunks)


async def test_an_error_line_gives_the_servers_words() -> None:
    _, failure = await play(token("a"), error("an error was encountered while running the model: CUDA error"))
    assert failure is not None
    assert failure.detail == "an error was encountered while running the model: CUDA error"


async def test_an_overflow_told_in_the_stream_is_told_as_overflow() -> None:
    nested = {"error": {"code": 400, "message": "request (9 tokens) exceeds", "type": "exceed_context_size_error"}}
    _, failure = await play(error(json.dumps(nested)))
    assert isinstance(failure, ContextOverflow)
    assert failure.detail == "request (9 tokens) exceeds"


@pytest.mark.parametrize("with_headers", [True, False])
async def test_text_that_comes_with_the_reset_in_one_moment_is_kept(with_headers: bool) -> None:
    first = [] if with_headers else [headers(), pause(0.02)]
    for _ in range(5):
        chunks, failure = await play(*first, raw(m("one") * 50), reset())
        # Loopback may drop what was never received; what was received must be shown.
        assert text(chunks) in ("", "one" * 50)
        assert isinstance(failure, OllamaError)


async def test_text_that_was_buffered_when_the_connection_closed_is_kept() -> None:
    async with ScriptedOllama() as server, OllamaClient(server.url) as client:
        server.enqueue(token("a"), raw(m("b") * 20), reset())
        async with client.chat("m", PROMPT) as stream:
            await server.chats[0].closed.wait()
            await asyncio.sleep(0.05)  # everything, the reset too, has come in by now
            assert text(await stream.read_batch()) == "a" + "b" * 20
            with pytest.raises(StreamCut):
                await anext(stream)


ANSWER = m("Hä") + m("llo 😀\u0085\u2028") + m("!", last=True)
BESIDE = b'{"error":%s,"message":'
PRINTED = json.dumps({"model": "m", "message": {"content": "Hällo 😀\u0085\u2028!"}, "done": True}, indent=2)
WHOLE = {
    **{
        f"error {e.decode()} beside it": [raw(ANSWER.replace(b'{"message":', BESIDE % e))]
        for e in (b"null", b'""', b"{}")
    },
    "lines that are no objects": [raw(b'[]\nnull\n5\n"x"\ntrue\n[{"done":true}]\n' + ANSWER)],
    "a reason in place of done": [raw(ANSWER.replace(b'"done": true', b'"done_reason": "stop"'))],
    "a reason beside done false": [raw(ANSWER.replace(b'"done": true', b'"done": false, "done_reason": "stop"'))],
    "one object over lines": [status(200, PRINTED)],
    "one object over lines, with CRLF and BOM": [status(200, "\ufeff" + PRINTED.replace("\n", "\r\n") + "\r\n")],
    "one object over lines, a byte per chunk": [raw(bytes([b])) for b in PRINTED.encode()],
    "one object on one line": [status(200, json.dumps(json.loads(PRINTED)))],
    "one chunk": [raw(ANSWER)],
    "a byte per chunk": [raw(ANSWER[i : i + 1]) for i in range(len(ANSWER))],
    "a byte per segment": [raw(ANSWER[i : i + 1], delay=0.0005) for i in range(len(ANSWER))],
    "no last newline": [raw(ANSWER[:-1])],
    "CRLF and blank lines": [raw(b"\r\n" + ANSWER.replace(b"\n", b"\r\n\r\n"))],
    "BOM": [raw(b"\xef\xbb\xbf" + ANSWER)],
    "no content type": [wire(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))],
    "html content type": [status(200, ANSWER, "text/html")],
    "octet stream": [status(200, ANSWER, "application/octet-stream")],
    "content length too large": [wire(HEAD + b"Content-Length: 9999\r\n\r\n" + ANSWER), cut()],
    "close-delimited": [wire(b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER), cut()],
    "gzip all the same": [status(200, gzip.compress(ANSWER), "application/x-ndjson", {"Content-Encoding": "gzip"})],
    "trailers": [wire(HEAD + CHUNKED + b"%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(ANSWER), ANSWER))],
    "1xx first": [wire(b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"\r\n" + ANSWER), cut()],
    "no terminator": [raw(ANSWER), cut()],
    "reset after done": [raw(ANSWER), pause(0.02), reset()],
    "content after done": [raw(ANSWER + m("never"))],
    "garbage after done": [raw(ANSWER + b"<html>")],
    "unknown fields": [raw(ANSWER.replace(b'{"message"', b'{"x":{"y":[1]},"model":null,"created_at":7,"message"'))],
}


@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
async def test_a_whole_answer_is_whole_however_it_travels(script: Script) -> None:
    chunks, failure = await play(script)
    assert failure is None
    assert text(chunks) == "Hällo 😀\u0085\u2028!"
    assert chunks[-1].done


async def test_a_last_line_may_hold_text_thinking_and_calls() -> None:
    chunks, failure = await play(think("hm"), tool_call("f"), done(None, content="end", thinking="so", eval_count=3))
    assert failure is None
    assert [c.thinking for c in chunks if c.thinking] == ["hm", "so"]
    assert [call.name for c in chunks for call in c.tool_calls] == ["f"]
    assert (chunks[-1].content, chunks[-1].done_reason) == ("end", None)


SAMPLE_ENDS = {
    "chat-content": None,
    "chat-thinking": None,
    "chat-thinking-only-length": None,
    "chat-thinking-leaked-tags": None,
    "chat-tools-rendered": None,
    "chat-tools-native-in-done": None,
    "chat-logprobs": None,
    "chat-done-no-counts": None,
    "chat-load": None,
    "chat-unload": None,
    "chat-error-midstream": StreamError,
    "chat-error-midstream-remote": StreamError,
    "chat-no-done": StreamCut,
    "chat-truncated-line": StreamCut,
    "real-native-resume": None,
    "real-repeat-guard": StreamCut,
}


@pytest.mark.parametrize(("name", "kind"), SAMPLE_ENDS.items())
async def test_samples_end_as_they_should(name: str, kind: type[OllamaError] | None) -> None:
    chunks, failure = await play(raw((SAMPLES / f"{name}.ndjson").read_bytes()))
    assert type(failure) is (kind or type(None))
    assert chunks[-1].done is (kind is None)


@pytest.mark.parametrize("script", [raw((SAMPLES / "real-repeat-guard.ndjson").read_bytes()), [token("\n")] * 31])
async def test_the_end_that_a_repeat_guard_makes_is_told_from_others(script: Script) -> None:
    _, failure = await play(token("Well"), script, end())
    assert isinstance(failure, StreamCut)
    assert failure.is_repetition
    assert not failure.is_lost
    _, failure = await play(token("Well"), script, token("no"), end())
    assert isinstance(failure, StreamCut)
    assert not failure.is_repetition
    _, failure = await play(token("Well"), error("prediction aborted, token repeat limit reached"))
    assert isinstance(failure, StreamCut)
    assert failure.is_repetition


async def test_a_batch_holds_all_that_one_read_completed() -> None:
    async with ScriptedOllama() as server, OllamaClient(server.url) as client:
        go = asyncio.Event()
        server.enqueue(raw(m("a") * 30), headers(), error("boom"))
        async with client.chat("m", PROMPT) as stream:
            go.set()
            await asyncio.sleep(0.03)
            batch = await stream.read_batch()
            assert len(batch) == 30
            with pytest.raises(StreamError):
                await stream.read_batch()


async def test_batches_end_with_an_empty_one() -> None:
    async with ScriptedOllama() as server, OllamaClient(server.url) as client:
        server.enqueue(say("one two three"))
        words = ""
        async with client.chat("m", PROMPT) as stream:
            while batch := await stream.read_batch():
                words += text(batch)
            assert await stream.read_batch() == []
        assert words == "one two three"


async def test_a_trickle_that_completes_nothing_is_idle() -> None:
    async with asyncio.timeout(3):
        chunks, failure = await play(token("one"), [raw(b" ", delay=0.02) for _ in range(500)], idle=0.15)
    assert text(chunks) == "one"
    assert isinstance(failure, IdleTimeout)


async def test_headers_alone_are_no_answer_that_could_be_idle() -> None:
    chunks, failure = await play(headers(), pause(0.3), say("loaded at last"), idle=0.1)
    assert failure is None
    assert text(chunks) == "loaded at last"


async def test_headers_and_then_nothing_is_no_first_byte() -> None:
    _, failure = await play(headers(), hang(), idle=0.05, first=0.2)
    assert isinstance(failure, FirstByteTimeout)
    assert failure.seconds == 0.2


LOST = {
    "closed without terminator": ([token("one"), cut()], True),
    "reset": ([token("one"), pause(0.01), reset()], True),
    "closed within a line": ([token("one"), raw(b'{"mess'), cut()], True),
    "ended within a line": ([token("one"), raw(b'{"mess')], True),
    "ended after a line": ([token("one"), end()], False),
}


@pytest.mark.parametrize(("script", "is_lost"), LOST.values(), ids=LOST)
async def test_a_lost_connection_is_told_from_an_early_end(script: Script, is_lost: bool) -> None:
    _, failure = await play(script)
    assert isinstance(failure, StreamCut)
    assert failure.is_lost is is_lost


async def test_slow_but_steady_is_not_idle() -> None:
    chunks, failure = await play(say("a b c d e f", delay=0.1), idle=0.25)
    assert failure is None
    assert text(chunks) == "a b c d e f"


async def test_a_slow_reader_is_not_an_idle_server() -> None:
    async with (
        ScriptedOllama() as server,
        OllamaClient(server.url, timeouts=Timeouts(idle=0.1)) as client,
    ):
        server.enqueue(token("a"), pause(0.15), token("b"))
        async with client.chat("m", PROMPT) as stream:
            assert (await anext(stream)).content == "a"
            await asyncio.sleep(0.25)
            assert (await anext(stream)).content == "b"


async def test_a_flood_arrives_whole() -> None:
    chunks, failure = await play(raw(m("x") * 20_000), done())
    assert failure is None
    assert len(chunks) == 20_001


async def test_a_line_of_megabytes_is_read() -> None:
    chunks, failure = await play(raw(m("x" * 3_000_000)), done())
    assert failure is None
    assert len(text(chunks)) == 3_000_000


class Pieces:
    """A response whose body comes in *pieces*, as the client's reader sees one."""

    connection = None

    def __init__(self, pieces: list[bytes]) -> None:
        self.content = self
        self._pieces = [piece for piece in pieces if piece]

    async def readany(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        self._pieces.clear()


def shapes(word: str) -> list[bytes]:
    """One line of a chat as different servers write it."""
    value = {"model": "m", "message": {"role": "assistant", "content": word}, "done": False}
    return [
        json.dumps(value, ensure_ascii=False).encode() + b"\n",
        json.dumps(value).encode() + b"\r\n\r\n",
        json.dumps(value | {"error": None}, ensure_ascii=False).encode() + b"\n",
        json.dumps(value | {"error": ""}).encode() + b" \n",
        json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n",
        json.dumps(value, indent="\t").replace("\n", "\r\n").encode() + b"\r\n",
        b"[]\n{}\nnull\n" + json.dumps(value).encode() + b"\n7\n",
    ]


ENDS = [
    b'{"message":{"content":""},"done":true,"done_reason":"stop"}\n',
    b'{"message":{},"done":true}',
    b'{"message":{},"done_reason":"stop"}\n',
    b'{"message":{},"done":false,"done_reason":"length"}\n',
    b'{\n  "message": {"content": ""},\n  "done": true\n}',
]


@given(
    st.lists(st.tuples(st.text(max_size=8), st.integers(0, 6)), max_size=6),
    st.sampled_from(ENDS),
    st.lists(st.integers(0, 3000), max_size=40),
    st.booleans(),
)
def test_any_server_in_any_chunking_gives_its_words_and_its_end(
    words: list[tuple[str, int]], last: bytes, cuts: list[int], has_mark: bool
) -> None:
    body = b"\xef\xbb\xbf" * has_mark + b"".join(shapes(word)[shape] for word, shape in words) + last
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]

    async def read() -> list[ChatChunk]:
        pieces = Pieces([body[i:j] for i, j in pairwise(edges)])
        stream = ChatStream(cast(aiohttp.ClientResponse, pieces), parse_chat_chunk, url="http://x", idle=5.0)
        chunks = [chunk async for chunk in stream]
        stream.close()
        return chunks

    chunks = asyncio.run(read())
    assert text(chunks) == "".join(word for word, _ in words).replace("\0", "")
    assert chunks[-1].done
