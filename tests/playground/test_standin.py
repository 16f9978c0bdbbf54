"""The stand-in speaks Ollama's wire format and says what it is."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from bot.conversation.turn_text import said
from bot.parts import Quote, QuoteKind
from bot.playground.standin.replies import CONFESSION, compose, tokens_of
from bot.playground.standin.server import StandIn
from bot.playground.standin.wire import go_json


@pytest.fixture
async def server():
    async with StandIn(speed=5000) as standin:
        yield standin


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def chat(http, server, prompt, *, model="stand-in", **more):
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
    async with http.post(f"{server.url}/api/chat", json=body) as response:
        return response.status, response.headers["Content-Type"], (await response.read()).split(b"\n")


async def idle(server):
    async with asyncio.timeout(2):
        while server.active:  # noqa: ASYNC110 - the server has no event for it, and needs none
            await asyncio.sleep(0.01)


async def test_a_chat_streams_one_object_per_line_and_ends_with_counts(server, http):
    status, kind, lines = await chat(http, server, "hello there")
    assert (status, kind) == (200, "application/x-ndjson")
    assert lines.pop() == b""
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert list(first) == ["model", "created_at", "message", "done"]
    assert first["model"] == "stand-in"  # the request's own words, not the canonical name
    assert last["done"] is True
    assert last["done_reason"] == "stop"
    assert last["eval_count"] == len(lines) - 1
    assert last["total_duration"] >= last["eval_duration"] > 0
    text = "".join(json.loads(line)["message"]["content"] for line in lines)
    assert text.startswith(CONFESSION)
    assert "> hello there" in text


async def test_a_chunk_leaves_in_the_moment_of_its_token(server, http):
    server.speed = 50
    body = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}]}
    arrivals = []
    async with http.post(f"{server.url}/api/chat", json=body) as response:
        async for _ in response.content:
            arrivals.append(time.monotonic())
            if len(arrivals) == 6:
                break
    assert 0.06 < arrivals[-1] - arrivals[0] < 0.5


async def test_generate_answers_in_its_own_field(server, http):
    body = {"model": "stand-in:latest", "prompt": "code"}
    async with http.post(f"{server.url}/api/generate", json=body) as response:
        lines = [json.loads(line) for line in (await response.read()).splitlines()]
    assert list(lines[0]) == ["model", "created_at", "response", "done"]
    assert "```python\n" in "".join(line["response"] for line in lines)


async def test_thoughts_come_first_and_apart(server, http):
    _, _, lines = await chat(http, server, "hi", model="stand-in-thinking")
    messages = [json.loads(line)["message"] for line in lines[:-1]]
    thoughts = [m for m in messages if "thinking" in m]
    assert thoughts == messages[: len(thoughts)]
    assert all(m["content"] == "" for m in thoughts)
    assert len(thoughts) > 20
    _, _, lines = await chat(http, server, "hi", model="stand-in-thinking", think=False)
    assert not any("thinking" in json.loads(line)["message"] for line in lines[:-1])


async def test_without_stream_the_same_comes_as_one_object(server, http):
    status, kind, lines = await chat(http, server, "list", stream=False)
    assert (status, kind) == (200, "application/json; charset=utf-8")
    whole = json.loads(b"\n".join(lines))
    assert whole["message"]["content"] == compose([{"role": "user", "content": "list"}]).content
    assert whole["done_reason"] == "stop"


async def test_an_error_comes_in_the_middle_and_ends_the_stream(server, http):
    status, _, lines = await chat(http, server, "an error please")
    assert status == 200
    assert list(json.loads(lines[-2])) == ["error"]
    assert not any(json.loads(line).get("done") for line in lines[:-1])


async def test_num_predict_ends_with_length(server, http):
    _, _, lines = await chat(http, server, "long", options={"num_predict": 7})
    last = json.loads(lines[-2])
    assert (last["done_reason"], last["eval_count"], len(lines)) == ("length", 7, 9)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "missing request body"),
        (b"hello", 400, "invalid character"),
        (b"[]", 400, "cannot unmarshal"),
        (b"{}", 400, "model is required"),
        (b'{"model":"llama3"}', 404, "model 'llama3' not found"),
        (b'{"model":"stand-in-slow","think":true}', 400, '"stand-in-slow" does not support thinking'),
    ],
)
async def test_mistakes_are_refused_in_ollamas_words(server, http, body, status, error):
    for path in ("chat", "generate"):
        async with http.post(f"{server.url}/api/{path}", data=body) as response:
            assert response.status == status
            assert error in json.loads(await response.read())["error"]


async def test_empty_messages_load_and_unload(server, http):
    async with http.post(f"{server.url}/api/chat", json={"model": "stand-in", "messages": []}) as response:
        assert (await response.json())["done_reason"] == "load"
    async with http.get(f"{server.url}/api/ps") as response:
        assert [model["name"] for model in (await response.json())["models"]] == ["stand-in:latest"]
    body = {"model": "stand-in", "keep_alive": 0}
    async with http.post(f"{server.url}/api/generate", json=body) as response:
        assert (await response.json())["done_reason"] == "unload"
    async with http.get(f"{server.url}/api/ps") as response:
        assert (await response.json())["models"] == []


async def test_tags_and_show_agree_on_what_a_model_can_do(server, http):
    async with http.get(f"{server.url}/api/tags") as response:
        models = (await response.json())["models"]
    assert len(models) == 3
    for model in models:
        async with http.post(f"{server.url}/api/show", json={"model": model["name"]}) as response:
            shown = await response.json()
        assert shown["capabilities"] == model["capabilities"]
        assert shown["model_info"]["stand-in.context_length"] == model["details"]["context_length"]


async def test_it_stops_when_the_client_leaves(server, http):
    server.speed = 20
    body = {"model": "stand-in", "messages": [{"role": "user", "content": "long"}]}
    async with http.post(f"{server.url}/api/chat", json=body) as response:
        await response.content.readline()
        assert server.active == 1
    await idle(server)


async def test_it_stops_when_the_client_leaves_before_the_first_token(server, http):
    body = {"model": "stand-in", "messages": [{"role": "user", "content": "slow"}]}
    with pytest.raises(TimeoutError):
        await http.post(f"{server.url}/api/chat", json=body, timeout=aiohttp.ClientTimeout(total=0.1))
    await idle(server)


def test_it_recalls_the_conversation():
    said = ["my cat is called Ada", "and my dog Bob", "what did I say first?"]
    answer = compose([{"role": "user", "content": text} for text in said]).content
    assert "> my cat is called Ada" in answer
    assert "> and my dog Bob" in answer


def test_a_speakers_label_becomes_a_name_and_counts_as_no_word():
    answer = compose([{"role": "user", "content": "⟦Grace⟧ hello there"}]).content
    assert "Grace, you said:\n> hello there\n2 words" in answer
    assert "⟦" not in answer
    assert "You said:\n> hi\nOne word" in compose([{"role": "user", "content": "hi"}]).content


def test_what_is_quoted_is_told_apart_from_what_is_said():
    quote = "⟦quoted: what Linus wrote, which this message replies to⟧\n> ⟦ hello\n> there\n⟦the quote is cut here⟧\n"
    answer = compose([{"role": "user", "content": f"{quote}⟦Grace⟧ is it so?"}]).content
    assert "Grace, you said:\n> is it so?\nYou mean what somebody wrote:\n> ⟦ hello\n> there\n3 words" in answer
    assert "code" in compose([{"role": "user", "content": f"{quote}⟦Grace⟧ code"}]).content


def test_what_is_quoted_is_shown_where_nothing_else_was_said():
    quote = "⟦quoted: what Linus wrote, with which this thread began⟧\n> hello\n"
    alone = said("Ada", (Quote(QuoteKind.REPLY, "Linus", "hello"),))
    assert compose([{"role": "user", "content": alone}]).content.endswith("I was shown this:\n> hello\n")
    first = compose([{"role": "user", "content": f"{quote}⟦Ada⟧ what did I say first?"}]).content
    assert first.endswith("in this conversation, beside:\n> hello\n")


def test_it_recalls_who_said_what():
    said = ["⟦Ada⟧ my cat is black", "⟦Linus⟧ mine is white", "⟦Linus⟧ what did I say first?"]
    answer = compose([{"role": "user", "content": text} for text in said]).content
    assert "First Ada said:\n> my cat is black" in answer
    assert "from you:\n> mine is white" in answer


def test_a_name_is_no_request():
    assert "```" not in compose([{"role": "user", "content": "⟦code⟧ hello"}]).content


def test_no_tour_shows_what_the_bot_changes_on_purpose():
    assert "-# " not in compose([{"role": "user", "content": "list"}]).content


@pytest.mark.parametrize(
    "prompt", ["", "hi", "long", "long 3000", "code", "table", "list", "thinking", "slow", "error"]
)
def test_every_answer_confesses_and_survives_the_tokens(prompt):
    script = compose([{"role": "user", "content": prompt}])
    assert script.content.startswith(CONFESSION)
    assert "".join(tokens_of(script.content)) == script.content
    assert script.content.count("```") % 2 == 0


def test_a_long_answer_is_as_long_as_asked():
    content = compose([{"role": "user", "content": "@Burble a long answer of 3000 words"}]).content
    assert 3000 <= len(content.split()) < 3300


def test_go_escapes_what_go_escapes():
    assert go_json({"a": "<b> & \u2028 \u0085 🎉"}) == '{"a":"\\u003cb\\u003e \\u0026 \\u2028 \u0085 🎉"}'.encode()


@pytest.mark.parametrize("question", ["What can you do?", "what all can you do here", "Who are you?", "help"])
def test_who_asks_what_it_can_do_is_told(question):
    script = compose([{"role": "user", "content": f"⟦Ada⟧ {question}"}])
    assert "with one of these words" in script.content


SAMPLES = Path(__file__).parents[1] / "ollama/samples"


def sample(name: str) -> list[dict]:
    return [json.loads(line) for line in (SAMPLES / name).read_text("utf-8").splitlines()]


def shape(value):
    """The keys of an object in their order, and the kinds of its values."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items() if key not in {"model_info", "tensors"}]
    return type(value).__name__ if not isinstance(value, int | float) else "number"


async def test_its_lists_have_the_shape_of_a_real_servers(server, http):
    await chat(http, server, "hi", options={"num_ctx": 2048})
    for path, name in (("tags", "tags.ndjson"), ("ps", "ps.ndjson")):
        async with http.get(f"{server.url}/api/{path}") as response:
            answer = await response.json()
        assert shape(answer["models"][0]) == shape(sample(name)[0]["models"][0]), path
    [loaded] = answer["models"]
    assert loaded["context_length"] == 2048
    assert datetime.fromisoformat(loaded["expires_at"]) > datetime.now(UTC)


async def test_its_lines_have_the_shape_of_a_real_servers(server, http):
    _, _, lines = await chat(http, server, "think")
    thought, *_, last = (json.loads(line) for line in lines[:-1])
    real = sample("chat-thinking.ndjson")
    assert shape(thought) == shape(real[0])
    assert shape(last) == shape(real[-1])
    async with http.post(f"{server.url}/api/generate", json={"model": "stand-in", "prompt": "hi"}) as response:
        lines = [json.loads(line) for line in (await response.read()).splitlines()]
    real = sample("real-gen-think-leak.ndjson")
    assert (shape(lines[0]), shape(lines[-1])) == (shape(real[0]), shape(real[-1]))
    async with http.post(f"{server.url}/api/chat", json={"model": "stand-in", "messages": []}) as response:
        assert shape(await response.json()) == shape(sample("chat-load.ndjson")[0])
    async with http.post(f"{server.url}/api/show", json={"model": "stand-in"}) as response:
        keys = list(await response.json())
    real_keys = list(sample("show.ndjson")[0])
    assert [key for key in real_keys if key in keys] == keys
