"""Tokens, keys, passwords and people's words stay out of the log, whatever goes wrong and however much it logs."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import signal
import traceback
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.conversation.database import open_database
from bot.errors import StoreError
from bot.log import setup_logging
from bot.playground.loopback.seed import ADA_ID, CODE_ID, GENERAL_ID
from bot.recovery.changes import Changes
from bot.settings.settings import Settings, load_settings
from tests.scripted_ollama import cut, error, say, status
from tests.whole.faults import API_KEY, KEPT, MARKED, QUESTION
from tests.whole.stack import Stack, servers
from tests.whole.test_process import started

PASSWORD = "hunter2hunter2"
BASIC = "YWRhOmh1bnRlcjJodW50ZXIy"


def told(log: str, *secrets: str) -> list[str]:
    """The lines of *log* that hold a part of a secret: libraries shorten what they show."""
    pieces = {secret[at : at + 10] for secret in secrets for at in range(len(secret) - 9)}
    return [line for line in log.splitlines() if any(piece in line for piece in pieces)]


async def provoke(stack: Stack) -> None:
    """Let much go wrong, on every way that a secret travels."""
    quoting = {"error": f"refused: Bearer {API_KEY}, Basic {BASIC}, {QUESTION}"}
    for script in ([status(500, quoting)], [status(401, quoting)], [*say(KEPT), error(f"{API_KEY} {KEPT}")], [cut()]):
        stack.ollama.enqueue(script)
    for count in range(1, 4):
        stack.ask(QUESTION)
        await stack.until(lambda count=count: len(stack.replies()) >= count)
    stack.discord.inject(method="PATCH", route="/webhooks/*", status=500, times=2)
    stack.discord.inject(method="POST", route="/interactions/*", status=503)
    stack.discord.inject_rate_limit(0.05, method="PATCH", route="/webhooks/*")
    stack.world.run_command(ADA_ID, CODE_ID, ["ask"], {"prompt": QUESTION})
    stack.world.run_command(ADA_ID, CODE_ID, ["ask"], {"prompt": QUESTION})
    await stack.until(lambda: [each for each in stack.texts(CODE_ID) if "scripted" in each])
    stack.discord.dispatch("MESSAGE_CREATE", {"id": "x", "content": QUESTION})
    stack.discord.dispatch("INTERACTION_CREATE", {"token": API_KEY, "data": QUESTION})
    stack.discord.drop_gateway()
    stack.discord.inject(method="POST", route="/channels/*", reset=True)
    stack.ask(QUESTION)
    await stack.until(lambda: len(stack.replies()) >= 4)


@pytest.mark.slow
async def test_nothing_secret_is_logged_at_any_level_whatever_goes_wrong(tmp_path: Path):
    async with servers(tmp_path) as stack:
        stack.world.state.guild["name"] = "Ferns"  # the log names it, and a word of it is in the token
        tokens: list[str] = []
        stack.world.subscribe(lambda _, payload: tokens.extend(filter(None, [payload.get("token")])))
        host = stack.ollama.url.replace("//", f"//ada:{PASSWORD}@")
        async with started(
            stack, tmp_path, LOG_LEVEL="DEBUG", PYTHONASYNCIODEBUG="1", OLLAMA_API_KEY=API_KEY, OLLAMA_HOST=host
        ) as bot:
            await bot.logged("Invite: ")
            await provoke(stack)
            bot.process.send_signal(signal.SIGTERM)
            assert await bot.exit_code() == 0
        assert stack.ollama.chats[0].headers["authorization"] == f"Bearer {API_KEY}"
    assert "An event of type INTERACTION_CREATE could not be read" in bot.log
    assert "Traceback" in bot.log
    assert told(bot.log, stack.discord.token, API_KEY, PASSWORD, BASIC, *MARKED, *tokens) == []
    shown = "\n".join(stack.texts() + stack.texts(CODE_ID))
    assert "[secret]" in bot.log
    assert told(shown, stack.discord.token, API_KEY, PASSWORD, BASIC) == []


async def test_a_crash_in_a_listener_logs_no_secret_and_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    async with servers(tmp_path) as stack:
        stack.world.state.guild["name"] = "Ferns"
        setup_logging("DEBUG", secrets=[stack.discord.token], stream=stream)

        def crash(*_: object) -> None:
            raise RuntimeError(f"headers: {{'Authorization': 'Bot {stack.discord.token}'}}")

        monkeypatch.setattr(Changes, "note_deleted", crash)
        async with stack.running_bot() as bot:
            prompt = stack.ask(QUESTION)
            await stack.answered()
            monkeypatch.setattr(bot.responder, "respond", crash)
            stack.ask(QUESTION)
            await stack.shows("Something went wrong on my side")
            asyncio.get_running_loop().call_exception_handler(
                {"message": "Unhandled", "exception": RuntimeError(f"Bot {stack.discord.token}")}
            )
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
            await stack.until(lambda: "on_raw_message_delete failed" in stream.getvalue())
    assert "RuntimeError: " in stream.getvalue()
    assert told(stream.getvalue(), stack.discord.token, *MARKED) == []


async def test_an_error_of_the_database_holds_nobodys_words(tmp_path: Path):
    async with open_database(f"sqlite:///{tmp_path / 'x.db'}") as database:
        with pytest.raises(StoreError) as caught:
            await database.run(
                lambda connection: connection.execute(text("INSERT INTO no VALUES (:t)"), {"t": QUESTION})
            )
    everything = "".join(traceback.format_exception(caught.value))
    assert "no such table" in everything
    assert told(everything, *MARKED) == []


async def test_a_databases_password_is_in_no_error():
    for url in (f"postgresql://ada:{PASSWORD}@127.0.0.1:1/x", f"mysql://ada:{PASSWORD}@h/x", f"ada:{PASSWORD}@h/x"):
        with pytest.raises(StoreError) as caught:
            async with open_database(url):
                pytest.fail("nothing is there")
        assert told("".join(traceback.format_exception(caught.value)), PASSWORD) == []


def test_settings_show_no_secret_however_they_are_shown(caplog: pytest.LogCaptureFixture):
    settings = load_settings(
        {
            "DISCORD_TOKEN": "MTE4.Gh_x9-.abcDEF0123456789",
            "OLLAMA_API_KEY": API_KEY,
            "OLLAMA_HOST": f"http://a:{PASSWORD}@h",
        },
        "",
    )
    secrets = [each.get_secret_value() for each in (settings.discord_token, settings.ollama_api_key) if each]
    logging.getLogger("bot").warning("%s %r %s", settings, settings, settings.model_dump_json(exclude={"ollama_host"}))
    shown = caplog.text + "".join(f"{name}={value!r}" for name, value in settings if name != "ollama_host")
    assert told(shown, *secrets) == []
    assert PASSWORD not in caplog.text
    with pytest.raises(ValueError, match="frozen") as caught:
        settings.discord_token = None  # type: ignore[misc]
    assert told(str(caught.value), *secrets, PASSWORD) == []
    assert isinstance(pickle.loads(pickle.dumps(settings)), Settings)
