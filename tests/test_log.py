"""The log: one readable line per record, nobody's words, no secret."""

from __future__ import annotations

import io
import logging
import re

import pytest

from bot.log import LineFormatter, setup_logging

TOKEN = "MTE4.Gh_x9-.abc/DEF+0123"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_record_is_one_line_with_time_level_logger_and_message(stream: io.StringIO) -> None:
    setup_logging("INFO", stream=stream)
    logging.getLogger("bot.app").warning("Ollama at %s is down", "http://gpu-box")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING  bot\.app  Ollama at http://gpu-box is down\n", stream.getvalue()
    )


def test_a_name_cannot_forge_a_line_or_hide_text(stream: io.StringIO) -> None:
    setup_logging("INFO", stream=stream)
    logging.getLogger("bot").info("joined %s", "x\n2026-01-01 ERROR forged\r\x1b[2J\u202e\u2028y")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("joined x\\n2026-01-01 ERROR forged\\r\\x1b[2J\\u202e\\u2028y\n")


def test_nothing_below_the_level_is_shown(stream: io.StringIO) -> None:
    setup_logging("WARNING", stream=stream)
    logging.getLogger("bot").info("quiet")
    logging.getLogger("discord.gateway").info("connected")
    logging.getLogger("discord.http").warning("We are being rate limited.")
    assert "quiet" not in stream.getvalue()
    assert "connected" not in stream.getvalue()
    assert "We are being rate limited." in stream.getvalue()


@pytest.mark.parametrize("name", ["discord.gateway", "discord.http", "sqlalchemy.engine.Engine", "aiohttp.access"])
def test_debug_does_not_make_libraries_log_what_people_wrote(stream: io.StringIO, name: str) -> None:
    setup_logging("DEBUG", stream=stream)
    logging.getLogger("bot").debug("ours")
    logging.getLogger(name).debug("MESSAGE_CREATE: hello")
    assert "ours" in stream.getvalue()
    assert "hello" not in stream.getvalue()


def test_secrets_are_masked_in_message_arguments_traceback_and_stack(stream: io.StringIO) -> None:
    setup_logging("INFO", secrets=[TOKEN, "hunter2", ""], stream=stream)
    log = logging.getLogger("bot")
    log.info("token " + TOKEN)  # noqa: G003 - some library does
    log.info("%s %r", TOKEN, {"key": "hunter2"})
    log.info("https://h/?t=MTE4.Gh_x9-.abc%2FDEF%2B0123")
    log.error("hunter2", exc_info=ValueError(f"Bot {TOKEN}"), stack_info=True)
    shown = stream.getvalue()
    assert TOKEN not in shown
    assert "hunter2" not in shown
    assert "0123" not in shown
    assert shown.count("[secret]") >= 5
    assert "ValueError: Bot [secret]" in shown


INTERACTION = "aW50ZXJhY3Rpb246MTE5MTAwMDAwMDAwMDAwMDAwMTpzM2NyZXQ"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"POST https://h/api/v10/webhooks/11910/{INTERACTION}?wait=true", "POST https://h/api/v10/webhooks/11910/[secret]?wait=true"),
        (f"/interactions/11910/{INTERACTION}/callback", "/interactions/11910/[secret]/callback"),
        (f"{{'Authorization': 'Bot {TOKEN}'}}", "{'Authorization': 'Bot [secret]'}"),
        ("Bearer sk-0123456789abcdef0123", "Bearer [secret]"),
        ("Basic YWRhOmh1bnRlcjJodW50ZXIy==", "Basic [secret]"),
        ("postgresql+psycopg://ada:hunter2@h/db", "postgresql+psycopg://ada:[secret]@h/db"),
        ("http://ada:p%40ss:w@127.0.0.1:1/x", "http://ada:[secret]@127.0.0.1:1/x"),
        ("Bot of Ada at http://h:80/webhooks/1/short", "Bot of Ada at http://h:80/webhooks/1/short"),
        ("mail to a@b, see http://h:80/x", "mail to a@b, see http://h:80/x"),
    ],
)  # fmt: skip
def test_what_stands_where_a_credential_does_is_masked_unknown_as_it_is(
    stream: io.StringIO, text: str, shown: str
) -> None:
    setup_logging("INFO", stream=stream)
    logging.getLogger("aiohttp.client").error(text, exc_info=ValueError(text))
    assert stream.getvalue().count(shown) == 2


def test_a_secret_that_begins_another_does_not_leave_its_rest() -> None:
    formatter = LineFormatter(secrets=["abcd", "abcdefgh"])
    record = logging.makeLogRecord({"msg": "abcdefgh abcd", "name": "n", "levelname": "INFO"})
    assert formatter.format(record).endswith("[secret] [secret]")


def test_setting_up_again_replaces_and_leaves_others_alone() -> None:
    first, second, others = io.StringIO(), io.StringIO(), io.StringIO()
    other = logging.StreamHandler(others)
    logging.getLogger().addHandler(other)
    try:
        setup_logging("INFO", stream=first)
        setup_logging("DEBUG", stream=second)
        logging.getLogger("bot").debug("once")
    finally:
        logging.getLogger().removeHandler(other)
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert others.getvalue() == "once\n"


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, plain = Terminal(), Terminal()
    for target in (terminal, stream):
        setup_logging("INFO", stream=target)
        logging.getLogger("bot").error("x")
    monkeypatch.setenv("NO_COLOR", "1")
    setup_logging("INFO", stream=plain)
    logging.getLogger("bot").error("x")
    assert "\x1b[31mERROR   \x1b[0m bot  x" in terminal.getvalue()
    assert "\x1b" not in stream.getvalue() + plain.getvalue()
