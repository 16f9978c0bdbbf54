"""The log of a normal day: one line for each thing the operator wants to know, and no warning about ourselves."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.playground.loopback.seed import ADA_ID, GENERAL_ID, LINUS_ID
from bot.start_report import report_start
from tests.scripted_ollama import hang, say
from tests.whole.stack import servers
from tests.whole.test_process import started

SAID = "quaggawort"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_a_day_from_the_start_to_ctrl_c_is_told_without_a_warning(tmp_path: Path, stop: signal.Signals):
    async with servers(tmp_path) as stack, started(stack, tmp_path) as bot:
        await bot.logged("Registered 7 commands: /ask, /help, /model list, /model show, /model use, /reset, /stop")
        stack.ask(f"What is a {SAID}?")
        await bot.logged("Reply 1 ")
        stack.world.run_command(ADA_ID, stack.world.open_dm(ADA_ID)["id"], ["ask"], {"prompt": f"What is a {SAID}?"})
        await bot.logged("Reply 2 ")
        stack.discord.drop_gateway()
        await bot.logged("is connected again")
        stack.ollama.enqueue([*say(f"A {SAID} goes on"), hang()])
        stack.ask("Running")
        await stack.shows("goes on")
        stack.ask("Waiting", user=LINUS_ID)
        stack.ask("Waiting too")
        await stack.until(lambda: len(stack.texts()) == 4, seconds=10)
        bot.process.send_signal(stop)
        assert await bot.exit_code() == 0
    for line in bot.log.splitlines():
        assert re.match(r"[\d-]+ [\d:]+ INFO ", line), line
    for words in (
        r"burble \d+\.\d+\.\d+, discord\.py 2\.7\.\d+, Python 3\.\d+\.\d+$",
        rf"Data directory {re.escape(str(tmp_path))}/data, database sqlite:///\S+/burble\.db$",
        r"Intents: guilds, .*message content",
        rf"Ollama 0\.32\.9 at {re.escape(stack.ollama.url)}, model llama3\.2(:latest)?, window 8192 tokens",
        r"Ready as Burble#\d+ in 1 server$",
        rf"Reply 1 to {ADA_ID} in #general of .+ \({GENERAL_ID}\): complete, model llama3\.2, queued 0\.\d s, first t",
        r"Reply 1 .*, first token \d\.\d s, \d+ tokens, \d+\.\d tokens/s, \d+ characters, \d\.\d s in all$",
        rf"Reply 2 to {ADA_ID} in direct messages ",
        r"Stopping: 1 running, 2 waiting, 0\.2 s grace",
        r"Reply 3 to \d+ in #general of .+: stopped, ",
        r"Reply 4 to \d+ in #general of .+ was not begun; left for the next start",
    ):
        assert re.search(words, bot.log, re.MULTILINE), (words, bot.log)
    assert SAID not in bot.log
    assert "Session ID" not in bot.log


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://ada:hunter22@db.example/burble", "postgresql+psycopg://ada:***@db.example/burble"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
    ],
)
def test_the_database_is_named_without_its_password(tmp_path: Path, caplog, url: str, shown: str):
    caplog.set_level("INFO")
    report_start(SimpleNamespace(data_dir=tmp_path, store_url=url))
    assert caplog.messages[-1].endswith(f"database {shown}")
