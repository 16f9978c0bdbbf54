"""Whatever Ollama does, through the whole bot: what the channel shows, what is stored, what the log tells.

Each fault happens in a channel of its own, all to one bot: it must survive
them one after the other, and answers a plain question after each.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.playground.loopback.seed import ADA_ID
from tests.scripted_ollama import (
    Script,
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
from tests.whole.faults import (
    COMPLETE,
    FAILED,
    KEPT,
    QUESTION,
    STOPPED,
    Fault,
    Seen,
    ask,
    check,
    check_clean,
    faulty,
    happens,
    line,
    new_channel,
    row,
    suffer,
    table,
)
from tests.whole.stack import STOP, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLES = Path(__file__).parents[1] / "ollama/samples"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LAST = line("", done=True, done_reason="stop")
ANSWER = line(KEPT) + LAST
HOSTILE = "\x1b[2J\x07\x00`` `x` **b** \u202eevil\u202c @everyone <@1> [a](http://b) \u200b\n# big"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory):
    async with faulty(tmp_path_factory.mktemp("faults"), resume_replies="off") as stack:
        yield stack


# Refused: nothing of an answer came.


def told(record: dict[str, Any]) -> Fault:
    """How one of Ollama's own errors must be told."""
    code, body, why = record["status"], record["body"], record["why"]
    script = [status(code, body, record["content_type"])]
    if "num_ctx" in why or "exceeds" in body or "longer than the context" in body:
        return Fault(script, "no longer fits the model's window", log="ContextOverflow")
    if "usage limit" in body:
        return Fault(script, "allowance is used up", log="hourly usage limit")
    if code in (429, 502, 503):
        return Fault(script, f"busy right now (HTTP {code})", log="OllamaBusy", times=3)
    if code in (401, 403):
        return Fault(script, "does not let me in", log="OllamaUnauthorized")
    if code == 404 and "text/plain" in record["content_type"]:
        return Fault(script, "is not Ollama", log="NotOllama")
    if code == 404:
        return Fault(script, "ollama pull llama3.2", log="ModelMissing")
    return Fault(script, f"refused the request (HTTP {code})", log="OllamaStatusError")


RECORDS = [json.loads(text) for text in (SAMPLES / "http-errors.ndjson").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("record", RECORDS, ids=[f"{r['status']}-{r['why'][:40]}" for r in RECORDS])
async def test_each_error_of_ollamas_own_is_told(stack: Stack, record: dict[str, Any], caplog) -> None:
    await happens(stack, told(record), caplog)


PAGE = "<html><head><title>504 Gateway Time-out</title></head><body><script>x</script></body></html>"
REFUSED = {
    "gateway timeout page": Fault([status(504, PAGE, "text/html")], "HTTP 504", log="OllamaBusy", times=3),
    "524 of a CDN": Fault([status(524, PAGE, "text/html")], "HTTP 524", log="HTTP 524", times=3),
    "529 overloaded": Fault([status(529, {"error": "overloaded"})], "HTTP 529", log="overloaded", times=3),
    "500 without a body": Fault([status(500)], "HTTP 500", log="HTTP 500"),
    "500 with a list": Fault([status(500, "[]")], "HTTP 500", log="HTTP 500"),
    "500 with a number": Fault([status(500, "5")], "HTTP 500", log="HTTP 500"),
    "500 with null": Fault([status(500, '{"error":null}')], "HTTP 500", log="HTTP 500"),
    "500 in no charset": Fault([status(500, b"\xff\xfe\xe9\x00boo", "text/plain; charset=x-none")], "HTTP 500"),
    "500 of many kilobytes": Fault([status(500, {"error": "out of memory " * 9000})], "HTTP 500", log="out of memory"),
    "500 of a gigabyte": Fault(
        [wire(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000), hang()], "HTTP 500"
    ),
    "500 that is hostile": Fault([status(500, {"error": HOSTILE})], "HTTP 500", log="OllamaStatusError"),
    "500 that quotes the question": Fault(
        [status(500, {"error": f"cannot read: {QUESTION}"})], "HTTP 500", log="cannot read"
    ),
    "500 that quotes a call": Fault(
        [status(500, {"error": f"error parsing tool call: raw='{KEPT * 4}', err=EOF"})],
        "HTTP 500",
        log="parsing tool call",
    ),
    "418 of a joker": Fault([status(418, "short and stout", "text/plain")], "HTTP 418", log="short and stout"),
    "a redirect": Fault(
        [status(302, b"", extra_headers={"Location": "http://user:pw123456@127.0.0.1:9/x?key=1"})],
        "HTTP 302",
        log="redirect to http://127.0.0.1:9/x",
    ),
    "a login page with 200": Fault([status(200, "<html><title>Log in", "text/html")], "not Ollama", log="NotOllama"),
    "a login page as NDJSON": Fault([status(200, "<!doctype html>", "application/x-ndjson")], "not Ollama"),
    "plain words with 200": Fault([status(200, "Ollama is running", "text/plain")], "not Ollama"),
    "401 without a way": Fault([status(401, {"error": "invalid key"})], "OLLAMA_API_KEY", log="invalid key"),
    "401 with a hostile way": Fault(
        [status(401, {"error": "no", "signin_url": "https://x\u202e/`> @everyone"})], "OLLAMA_API_KEY", log="no"
    ),
    "401 with a way": Fault(
        [status(401, {"error": "no", "signin_url": "https://ollama.com/connect?a=1"})],
        "or sign in",
        log="sign in at https://ollama.com/connect?a=1",
    ),
    "busy for an hour": Fault(
        [status(503, {"error": "later"}, extra_headers={"Retry-After": "3600"})], "again in 60 minutes", log="later"
    ),
    "busy until long ago": Fault(
        [status(429, {"error": "x"}, extra_headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})],
        "again in 1 second",
        times=3,
    ),
    "busy for a nonsense time": Fault(
        [status(503, {"error": "x"}, extra_headers={"Retry-After": "soon"})], "again in a moment", times=3
    ),
}


@table(REFUSED)
async def test_a_refusal_is_told(stack: Stack, fault: Fault, caplog) -> None:
    await happens(stack, fault, caplog)


# No HTTP, or none to the end: nothing of an answer came.

BROKEN = {
    "closed right after accept": Fault([cut()], "cannot reach Ollama", log="OllamaUnreachable", times=6),
    "reset right after accept": Fault([reset()], "cannot reach Ollama", log="OllamaUnreachable", times=6),
    "closed within the status line": Fault([wire(b"HTTP/1.1 20"), cut()], "cannot reach Ollama", times=6),
    "closed within the headers": Fault([wire(HEAD), cut()], "cannot reach Ollama", times=6),
    "SSH": Fault([wire(b"SSH-2.0-OpenSSH_9.6\r\n")], "not Ollama", log="not HTTP"),
    "TLS": Fault([wire(b"\x15\x03\x01\x00\x02\x02\x46")], "http://` or `https://", log="OllamaTLSError"),
    "SMTP": Fault([wire(b"220 mail ESMTP\r\n")], "not Ollama", log="not HTTP"),
    "nulls": Fault([wire(b"\0" * 300)], "not Ollama", log="NotOllama"),
    "headers without end": Fault([wire(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000)], "not Ollama"),
    "a status that is none": Fault([wire(b"HTTP/1.1 abc OK\r\n\r\n")], "not Ollama"),
    "bad chunked coding": Fault([wire(HEAD + CHUNKED + b"zz\r\nzz\r\n")], "⚠️"),
    "two lengths": Fault([wire(HEAD + b"Content-Length: 5\r\n" + CHUNKED + ANSWER), cut()], "⚠️"),
    "gzip that is none": Fault([status(200, b"garbage" * 99, "", {"Content-Encoding": "gzip"})], "⚠️"),
}


@table(BROKEN)
async def test_what_is_no_answer_is_told(stack: Stack, fault: Fault, caplog) -> None:
    await happens(stack, fault, caplog)


# The answer ends early: its text stays, with the reason.

REPEATS = "." * 31
EARLY = {
    "ended without done": Fault([*say(KEPT), end()], "cut off", KEPT, log="ended without its last line"),
    "closed": Fault([*say(KEPT), cut()], "cut off", KEPT, log="StreamCut"),
    "reset": Fault([*say(KEPT), pause(0.02), reset()], "cut off", KEPT, log="StreamCut"),
    "half a line": Fault([*say(KEPT), raw(b'{"model":"m","mess')], "cut off", KEPT, log="within a line"),
    "half a line, closed": Fault([*say(KEPT), raw(b'{"model":"m","mess'), cut()], "cut off", KEPT, log="StreamCut"),
    "half a line and nothing else": Fault([raw(b'{"model":"m","mess')], "cut off", log="StreamCut"),
    "an empty 200": Fault([end()], "cut off", log="StreamCut"),
    "headers, then closed": Fault([headers(), cut()], "cut off", log="StreamCut"),
    "a model that repeats itself": Fault([raw(line(".") * 31), end()], "began to repeat itself", REPEATS),
    "shorter than announced": Fault(
        [wire(HEAD + b"Content-Length: 999\r\n\r\n" + line(KEPT)), cut()], "cut off", KEPT, log="StreamCut"
    ),
    "longer than announced": Fault(
        [wire(HEAD + b"Content-Length: %d\r\n\r\n" % len(line(KEPT)) + line(KEPT)), pause(0.02), wire(LAST), cut()],
        "cut off",
        KEPT,
        log="StreamCut",
    ),
    "close-delimited": Fault([wire(b"HTTP/1.0 200 OK\r\n\r\n" + line(KEPT)), cut()], "cut off", KEPT),
    "bad chunked coding later": Fault([*say(KEPT), pause(0.02), wire(b"zz\r\nzz\r\n"), hang()], "cut off", KEPT),
    "error line": Fault(
        [*say(KEPT), error("CUDA error: out of memory")], "in the middle of the answer", KEPT, log="CUDA error"
    ),
    "error without newline": Fault(
        [*say(KEPT), raw(b'{"error":"boom"}')], "in the middle of the answer", KEPT, log="boom"
    ),
    "error with Go's fields": Fault(
        [*say(KEPT), raw(b'{"StatusCode":500,"Status":"x","error":"boom"}')],
        "in the middle of the answer",
        KEPT,
        log="boom",
    ),
    "error that is an object": Fault(
        [*say(KEPT), raw(b'{"error":{"message":"boom"}}\n')], "in the middle of the answer", KEPT, log="boom"
    ),
    "error that is a number": Fault(
        [*say(KEPT), raw(b'{"error":5}\n')], "in the middle of the answer", KEPT, log="without a text"
    ),
    "error that is empty": Fault(
        [*say(KEPT), raw(b'{"error":""}\n')], "in the middle of the answer", KEPT, log="without a text"
    ),
    "error beside content": Fault(
        [raw(b'{"error":"boom","message":{"content":"x"}}\n')], "in the middle of the answer", log="boom"
    ),
    "error first": Fault([error("boom")], "in the middle of the answer", log="boom"),
    "error as the whole 200": Fault([status(200, {"error": "boom"})], "in the middle of the answer", log="boom"),
    "error after the whole answer": Fault(
        [*say(KEPT), error("tokenize failed")], "in the middle of the answer", KEPT, log="tokenize failed"
    ),
    "error that quotes the answer": Fault(
        [*say(KEPT), error(f"Failed to parse input at pos 3: {KEPT}")], "in the middle of the answer", KEPT, log="pos"
    ),
    "error that is hostile": Fault(
        [*say(KEPT), error(HOSTILE)], "in the middle of the answer", KEPT, log="StreamError"
    ),
    "overflow told late": Fault(
        [error(json.dumps({"error": {"type": "exceed_context_size_error", "message": "x"}}))], "no longer fits"
    ),
    "a broken line": Fault([*say(KEPT), raw(b'{"a\n'), done()], "could not read", KEPT, log="ProtocolError"),
    "a repeat guard": Fault([*say(KEPT), [token(" ha")] * 31, end()], "began to repeat itself", KEPT + " ha" * 31),
    "a repeat guard with words": Fault(
        [*say(KEPT), error("prediction aborted, token repeat limit reached")], "began to repeat itself", KEPT
    ),
    "nested without end": Fault([*say(KEPT), raw(b"[" * 100_000 + b"\n"), done()], "could not read", KEPT),
    "a line without end": Fault([raw(b'{"x":"' + b"y" * (17 << 20))], "could not read", log="more than"),
    "SSE": Fault([raw(b'data: {"choices":[]}\n\n')], "not Ollama", log="OpenAI-style"),
    "LM Studio": Fault(
        [status(200, {"error": "Unexpected endpoint or method. (POST /api/chat). Returning 200 anyway"})],
        "not Ollama",
        log="Unexpected endpoint",
    ),
    "SSE comment": Fault([raw(b": ping\n\n")], "not Ollama", log="OpenAI-style"),
    "OpenAI's lines": Fault([raw(b'{"choices":[{"delta":{"content":"x"}}]}\n')], "not Ollama", log="OpenAI-style"),
    "the native runner's prose": Fault([raw(b"panic: runtime error\n")], "not Ollama", log="panic"),
    "the server dies in thought": Fault([*think("hm"), cut()], "cut off", log="StreamCut"),
}


@table(EARLY)
async def test_an_answer_that_ends_early_keeps_its_text_and_says_why(stack: Stack, fault: Fault, caplog) -> None:
    await happens(stack, fault, caplog)


# The answer is whole, however it travels and whatever stands beside it.


def whole(*script: Script, text: str = KEPT, stored: str | None = None, says: str = "") -> Fault:
    return Fault(list(script), says, text, stored, COMPLETE)


def odd(message: object, **rest: Any) -> Any:
    """A line with a message of its own making, among plain ones."""
    body = json.dumps({"message": message, "done": False} | rest).encode() + b"\n"
    return raw(line("Yes the ") + body + line("zorillafern was") + LAST)


COUNTS = (
    b'{"message":{},"done":true,"eval_count":%s,"prompt_eval_count":-1,"eval_duration":1e999,"total_duration":%s}\n'
)
PRINTED = json.dumps({"model": "m", "message": {"content": KEPT}, "response": KEPT, "done": True}, indent=2)
WHOLE = {
    "an error that is null": whole(raw(line(KEPT, error=None) + LAST)),
    "an error that is empty beside text": whole(raw(line(KEPT, error="") + LAST)),
    "lines that are no objects": whole(raw(b'[]\n7\nnull\n"x"\n' + ANSWER)),
    "a reason in place of done": whole(raw(line(KEPT) + b'{"message":{},"done_reason":"stop"}\n'), hang()),
    "one object, stream or not": whole(status(200, json.dumps(json.loads(PRINTED)))),
    "one object over lines": whole(status(200, PRINTED)),
    "a byte per chunk": whole(*[raw(bytes([byte])) for byte in ANSWER]),
    "all in one": whole(raw(ANSWER)),
    "emoji over four writes": whole(
        *[raw(bytes([byte])) for byte in line("a😀\N{FAMILY}é") + LAST], text="a😀\N{FAMILY}é"
    ),
    "CRLF and blank lines": whole(raw(b"\r\n" + ANSWER.replace(b"\n", b"\r\n\r\n"))),
    "a byte order mark": whole(raw(b"\xef\xbb\xbf" + ANSWER)),
    "no last newline": whole(raw(ANSWER[:-1])),
    "no content type": whole(wire(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))),
    "as HTML": whole(status(200, ANSWER, "text/html")),
    "compressed all the same": whole(
        status(200, gzip.compress(ANSWER), "application/x-ndjson", {"Content-Encoding": "gzip"})
    ),
    "trailers": whole(wire(HEAD + CHUNKED + b"%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(ANSWER), ANSWER))),
    "early hints": whole(wire(b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"\r\n" + ANSWER), cut()),
    "close-delimited": whole(wire(b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER), cut()),
    "calls in the last line": whole(
        *say("Yes the"),
        raw(line(" zorillafern was", done=True, tool_calls=[{"function": {"name": "f"}}], done_reason="stop")),
    ),
    "other separators inside": whole(
        raw(rb'{"message":{"content":"a\u000bb\u000cc\u001cd"}}' + b"\n" + LAST), text="abcd", stored="a\x0bb\x0cc\x1cd"
    ),
    "longer announced": whole(wire(HEAD + b"Content-Length: 9999\r\n\r\n" + ANSWER), cut()),
    "reset after done": whole(raw(ANSWER), pause(0.02), reset()),
    "more after done": whole(raw(ANSWER + line("never") + b"<html>")),
    "text in the last line": whole(*say("Yes the"), done(content=" zorillafern was", thinking="so")),
    "U+0085 and U+2028 inside": whole(raw(line("a\u0085b\u2028c") + LAST), text="ab\nc", stored="a\u0085b\u2028c"),
    "invalid UTF-8": whole(raw(line("a#b").replace(b"#", b"\xff") + LAST), text="a\ufffdb"),
    "a lone surrogate": whole(raw(rb'{"message":{"content":"a\ud83d b"}}' + b"\n" + LAST), text="a\ufffd b"),
    "NUL": whole(raw(line("a\0b") + LAST), text="ab"),
    "escape sequences and bells": whole(
        raw(line("a\x1b[2Jb\x07c\x1b]52;c;eA==\x07") + LAST),
        text="a[2Jbc]52;c;eA==",
        stored="a\x1b[2Jb\x07c\x1b]52;c;eA==\x07",
    ),
    "bidi controls": whole(raw(line("a\u202eb\u2066c") + LAST), text="abc", stored="a\u202eb\u2066c"),
    "zero width": whole(raw(line("a\u200bb\ufeffc") + LAST), text="abc", stored="a\u200bb\ufeffc"),
    "ten thousand accents": whole(
        raw(line("e" + "\u0301" * 10_000) + LAST), text="e" + "\u0301" * 8, stored="e" + "\u0301" * 10_000
    ),
    "content in parts": whole(odd({"content": [{"type": "text", "text": "old "}]}), text="Yes the old zorillafern was"),
    "all on one line": whole(raw((line("Yes the ") + line("zorillafern was") + LAST).replace(b"\n", b""))),
    "message null": whole(odd(None)),
    "message a number": whole(odd(7)),
    "content null": whole(odd({"content": None})),
    "content a number": whole(odd({"content": 5})),
    "content a list": whole(odd({"content": ["x"]})),
    "no role, many fields": whole(odd({"content": "", "x": [{}]}, model=None, created_at="0001-01-01", y={"z": 1})),
    "keys twice": whole(
        raw(b'{"message":{"content":"x"},"message":{"content":"Yes the "}}\n' + line("zorillafern was") + LAST)
    ),
    "done as a word": whole(raw(line(KEPT) + LAST.replace(b"true", b'"true"'))),
    "done as a number": whole(raw(line(KEPT) + LAST.replace(b"true", b"1"))),
    "an unknown reason": whole(*say(KEPT), done("whatever")),
    "no reason and no counts": whole(raw(line(KEPT) + b'{"done":true}\n')),
    "counts that are none": whole(raw(line(KEPT) + COUNTS % (b"NaN", b"9" * 5000))),
    "counts as words": whole(raw(line(KEPT) + COUNTS % (b'"many"', b"1.5"))),
    "another model's name": whole(raw(line(KEPT, model="\x1b]0;x\x07`evil`", created_at="garbage") + LAST)),
    "empty chunks without number": whole(raw(line("") * 20_000 + ANSWER)),
    "a flood of single letters": whole(
        raw(line("a") * 6000 + LAST), text="\n".join(["a" * 2000] * 3), stored="a" * 6000
    ),
    "pings": whole(raw(line("@everyone <@1191000000000000010> hi") + LAST), text="@everyone <@1191000000000000010> hi"),
    "thoughts left in the text": whole(raw(line(f"<think>hm</think>{KEPT}") + LAST)),
    "thoughts beside the text": whole(odd({"content": "", "thinking": "hm"})),
    "the length limit": whole(*say(KEPT), done("length"), says="length limit"),
    "calls beside the text": whole(*say("Yes the"), tool_call("f"), *say(" zorillafern was")),
    "only calls": whole(tool_call("get_weather"), text="", says="`get_weather`"),
    "a call with a hostile name": whole(tool_call("`x` @everyone\u202e"), text="", says="tool that I do not have"),
    "calls that are none": whole(
        odd({"content": "", "tool_calls": [7, {"function": "x"}, {"function": {"arguments": "[1"}}]})
    ),
    "calls as a word": whole(odd({"content": "", "tool_calls": "run"})),
    "only thoughts": whole(*think("hm"), done(), text="", says="gave no answer"),
    "only thoughts up to the limit": whole(*think("hm"), done("length"), text="", says="whole budget on thinking"),
    "nothing": whole(done(), text="", says="empty answer"),
    "only space": whole(raw(line(" \n") * 50 + LAST), text="", says="empty answer"),
}


@table(WHOLE)
async def test_an_answer_is_whole_whatever_stands_beside_it(stack: Stack, fault: Fault, caplog) -> None:
    await happens(stack, fault, caplog)


async def test_a_text_without_end_is_stopped_with_words(stack: Stack, caplog) -> None:
    stack.ollama.enqueue([raw(line(("word " * 20_000) + "\n")) for _ in range(12)], hang())
    seen = await ask(stack)
    assert "passed a million characters" in seen.shown
    assert seen.state == STOPPED
    assert 1_000_000 < len(seen.text) < 1_200_000
    check_clean(stack, seen, caplog)
    await stack.ollama.closed(-1)


def without_end(message: dict[str, Any]) -> Script:
    """The same line again and again, in batches, for as long as anybody reads."""
    return [raw((json.dumps({"message": message, "done": False}).encode() + b"\n") * 50)] * 40, hang()


ENDLESS = {
    "thoughts": ({"thinking": "hmm " * 200}, "thought without end"),
    "tool calls": ({"tool_calls": [{"function": {"name": "go", "arguments": {"x": "y" * 99}}}]}, "calling tools"),
    "white space": ({"content": " \n" * 200}, "white space without end"),
}


@pytest.mark.parametrize("before", ["", KEPT])
@pytest.mark.parametrize(("message", "words"), ENDLESS.values(), ids=ENDLESS)
async def test_what_is_never_shown_is_bounded_too(
    stack: Stack, message: dict[str, Any], words: str, before: str, caplog
) -> None:
    stack.ollama.enqueue([raw(line(before))] if before else [], without_end(message))
    seen = await ask(stack)
    assert seen.shown.startswith(f"{before}\n-# ✂️ stopped: the model" if before else "✂️ stopped: the model")
    assert words in seen.shown
    assert (seen.state, seen.text.rstrip()) == (STOPPED, before)
    check_clean(stack, seen, caplog)
    await stack.ollama.closed(-1)


async def test_a_stream_of_nothing_can_be_stopped_at_once(stack: Stack, caplog) -> None:
    channel = new_channel(stack)
    stack.ollama.enqueue(raw(line("Hm")), [raw(line("") * 500, delay=0.002) for _ in range(5000)])
    prompt = stack.ask(QUESTION, channel=channel)
    await stack.shows("Hm", channel)
    stack.world.react(ADA_ID, channel, prompt["id"], STOP)
    await stack.ollama.closed(-1, timeout=0.5)
    [text] = await stack.answered(1, channel)
    assert text == "Hm\n-# ⏹️ stopped by Ada"


QUOTAS = [
    (
        429,
        {"error": "you (home-lab) have reached your weekly usage limit, upgrade: https://example.org/up (ref: 310ea)"},
    ),
    (402, {"error": {"message": "home-lab has no credits, see https://example.org"}}),
    (403, {"error": "home-lab: this model requires a subscription, upgrade for access: https://example.org/up"}),
    (429, "<html><title>home-lab</title>Daily limit reached, see https://example.org</html>"),
]


@pytest.mark.parametrize(("code", "body"), QUOTAS)
async def test_a_used_up_quota_is_asked_once_and_names_no_account(stack: Stack, code: int, body: Any, caplog) -> None:
    seen = await suffer(stack, Fault([status(code, body)], "allowance is used up", log="home-lab"), caplog)
    assert "/model use" in seen.shown
    for word in ("home-lab", "busy", "moment", "example.org"):
        assert word not in seen.shown


# A question on its own takes another way to the model, and to the screen.

ALONE = {
    "one object over lines": whole(status(200, PRINTED)),
    "whole": whole(*say(KEPT)),
    "a mistyped answer": whole(
        raw(b'{"response":5}\n{"response":null}\n{"response":"Yes"}\n{"done":true}\n'), text="Yes"
    ),
    "an error after the whole answer": Fault(
        [*say(KEPT), error("tokenize failed")], "in the middle of the answer", KEPT, log="tokenize failed"
    ),
    "ended without done": Fault([*say(KEPT), end()], "cut off", KEPT, log="StreamCut"),
    "closed": Fault([*say(KEPT), cut()], "cut off", KEPT, log="StreamCut"),
    "out of memory": Fault([status(500, {"error": "out of memory"})], "HTTP 500", log="out of memory"),
    "busy": Fault([status(503, {"error": "busy"})], "busy right now", log="OllamaBusy", times=3),
    "a chat's answer": Fault([raw(LAST)], "empty answer", state=COMPLETE),
}


@table(ALONE)
async def test_a_question_on_its_own_ends_as_well(stack: Stack, fault: Fault, caplog) -> None:
    caplog.set_level("INFO")
    await stack.until(lambda: stack.world.commands)
    for _ in range(fault.times):
        stack.ollama.enqueue(fault.script)
    channel = new_channel(stack)
    asked = stack.world.run_command(ADA_ID, channel, ["ask"], {"prompt": QUESTION})
    await stack.until(lambda: any(text for text in stack.texts(channel)))
    await stack.idle()
    quoted, _, shown = "\n".join(stack.texts(channel)).partition("\n")
    assert quoted.startswith("> ")
    seen = Seen([shown], *row(stack, asked.id))
    check(fault, seen, caplog)
    check_clean(stack, seen, caplog)
    assert stack.ollama.chats[-1].path == "/api/generate"


# The server's lists fail: the answer comes all the same.

LISTS = {
    "tags 500": ("/api/tags", [status(500, {"error": "x"})]),
    "tags null": ("/api/tags", [status(200, {"models": None})]),
    "tags hostile": ("/api/tags", [status(200, {"models": [{"name": HOSTILE}, 7, {"name": "x" * 9000}]})]),
    "tags a page": ("/api/tags", [status(200, "<html>", "text/html")]),
    "tags never": ("/api/tags", [hang()]),
    "ps 500": ("/api/ps", [status(500)]),
    "ps nonsense": (
        "/api/ps",
        [status(200, {"models": [{"name": None}, {"name": "llama3.2", "context_length": "x"}]})],
    ),
    "ps never": ("/api/ps", [hang()]),
    "show 500": ("/api/show", [status(500)]),
}


@pytest.mark.parametrize(("path", "script"), LISTS.values(), ids=LISTS)
async def test_an_answer_needs_no_list(stack: Stack, path: str, script: Script, caplog, monkeypatch) -> None:
    monkeypatch.setattr("bot.ollama.client._TAGS_SECONDS", 0.1)
    catalog = stack.services.catalog
    monkeypatch.setattr(catalog, "_models", [])
    monkeypatch.setattr(catalog, "_details", {})
    monkeypatch.setattr(catalog, "_asked_at", float("-inf"))
    stack.ollama.override(path, script)
    try:
        await suffer(stack, whole(pause(0.1), *say(KEPT)), caplog)
    finally:
        stack.ollama.overrides.clear()


async def test_a_hostile_models_name_is_harmless_wherever_it_is_shown(stack: Stack, caplog) -> None:
    name = "`` `x\u202e\x1b[2J` @everyone\n# " + "y" * 200
    channel = new_channel(stack)
    await stack.services.store.set_channel_model(int(channel), name)
    stack.ollama.enqueue(pause(0.15), status(404, {"error": f"model '{name}' not found"}))
    seen = await ask(stack, channel=channel)
    check_clean(stack, seen, caplog)
    shown = [payload["content"] for kind, payload in stack.events if kind == "MESSAGE_CREATE"]
    statuses = [text for text in shown if "yyyyy" in text]
    assert statuses
    for text in (*statuses, seen.shown):
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "\n#" not in text
        assert text.count("`") % 2 == 0
    assert seen.state == FAILED
