"""Every failure of the model server ends in a sentence and keeps the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.markdown.page import Page
from bot.markdown.pieces import Piece
from bot.playground.loopback.seed import CODE_ID
from tests.scripted_ollama import cut, done, end, error, hang, raw, reset, say, status
from tests.whole.stack import Stack, running, talk


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path, resume_replies="off") as stack:
        yield stack


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([status(404, {"error": "model 'llama3.2' not found"})], "ollama pull llama3.2"),
        ([status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})], "busy"),
        ([status(500, {"error": "out of memory"})], "refused the request"),
        ([status(401, {"error": "unauthorized", "signin_url": "https://ollama.com/connect?x=1"})], "sign in"),
        ([status(200, "<html>Login</html>", "text/html")], "not Ollama"),
        ([error("boom")], "in the middle"),
        ([end()], "cut off"),
    ],
)
async def test_a_failure_before_any_text_ends_in_a_sentence(stack: Stack, script, words: str):
    for _ in range(3):  # what may pass is asked again
        stack.ollama.enqueue(script)
    stack.ask("Hello")
    [text] = await stack.answered()
    assert words in text
    assert text.startswith("⚠️")


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (error("boom"), "in the middle"),
        (end(), "cut off"),
        (cut(), "cut off"),
        (reset(), "cut off"),
        (raw(b'{"model":"m","mess'), "cut off"),
    ],
)
async def test_a_failure_in_the_middle_keeps_the_text_and_says_why(stack: Stack, ending, words: str):
    stack.ollama.enqueue([*say("What came before"), ending])
    stack.ask("Hello")
    [text] = await stack.answered()
    first, *rest = text.splitlines()
    assert first == "What came before"
    assert words in rest[-1]
    assert rest[-1].startswith("-# ⚠️")
    stack.ask("Again")
    await stack.answered(2)
    assert talk(stack, -1)[1]["content"] == "What came before"


async def test_a_reference_that_is_told_stands_in_the_log_beside_the_cause(stack: Stack, caplog):
    stack.ollama.enqueue(status(500, {"error": f"cannot load '/home/ada/models for a reason {'x' * 90}"}))
    stack.ask("Hello")
    [text] = await stack.answered()
    [line] = [each for each in caplog.messages if "cannot load" in each]
    assert line.endswith(f"(reference {text.split('`')[1]})")
    assert "/home/ada" not in text


async def test_ollama_down_is_said_without_its_address_which_the_log_has(stack: Stack, caplog):
    url = stack.ollama.url
    await stack.ollama.stop()
    stack.ask("Hello")
    [text] = await stack.answered()
    assert url not in text
    assert url in caplog.text
    assert "Is it running?" in text


async def test_a_vanished_model_is_told_with_what_is_installed(stack: Stack):
    stack.ollama.strict_models = True
    await stack.services.store.set_channel_model(int(stack.ask("warm up")["channel_id"]), "gone:7b")
    await stack.answered(1)
    stack.ask("Hello")
    texts = await stack.answered(2)
    assert "gone:7b" in texts[-1]
    assert "`qwen3:8b`" in texts[-1]


async def test_a_crash_of_our_own_ends_in_a_reference_that_is_in_the_log(stack: Stack, monkeypatch, caplog):
    def explode(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stack.services.catalog, "window", explode)
    stack.ask("Hello")
    [text] = await stack.answered()
    reference = text.split("`")[1]
    assert reference in caplog.text
    assert "a bug" not in text


async def test_a_question_asked_while_the_socket_hangs_does_not_block_another_channel(stack: Stack):
    stack.ollama.enqueue([hang()])
    stack.ask("stuck")
    await stack.until(lambda: stack.ollama.chats)
    stack.ask("free", channel=CODE_ID)
    assert await stack.answered(1, CODE_ID) == ["Hello from the scripted model."]


async def test_an_answer_that_our_renderer_fails_at_comes_as_it_is(stack: Stack, monkeypatch, caplog):
    render = Page.render

    def failing(page: Page, source: str, **how: bool) -> list[Piece]:
        if "third" in source:
            raise ZeroDivisionError
        return render(page, source, **how)

    monkeypatch.setattr(Page, "render", failing)
    stack.ollama.enqueue([*say("first **second** third fourth"), done()])
    stack.ask("Hello")
    [text] = await stack.answered()
    assert text == "```\nfirst **second** third fourth\n```"
    assert "ZeroDivisionError" in caplog.text
    stack.ask("Again")
    await stack.answered(2)
    assert talk(stack, -1)[1]["content"] == "first **second** third fourth"
