"""The command line: what each command starts, what the exit codes mean, what help costs."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import main
from bot.errors import SettingsError, StoreError
from bot.settings.settings import Settings

TOKEN = "MTE4.Gh_x9-.abcDEF0123456789"
ROOT = Path(__file__).parent.parent

Serve = Callable[[Settings], Coroutine[Any, Any, int]]


@pytest.fixture(autouse=True)
def _sigterm_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def install_bot(monkeypatch: pytest.MonkeyPatch) -> Callable[[Serve], None]:
    """Put a `serve` in place of the bot's and set a token."""

    def install(serve: Serve) -> None:
        module = types.ModuleType("bot.app")
        module.serve = serve
        monkeypatch.setitem(sys.modules, "bot.app", module)
        monkeypatch.setenv("DISCORD_TOKEN", f"Bot {TOKEN}")

    return install


@dataclasses.dataclass
class Options:
    port: int | None
    data_dir: Path
    no_browser: bool
    no_bot: bool
    stand_in: bool
    speed: float
    limiter: str
    ollama_host: str


@pytest.fixture
def playground(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """Put a playground in place that only notes its options and ends with 0."""
    started: list[Options] = []

    async def run_playground(options: Options) -> int:
        started.append(options)
        return 0

    module = types.ModuleType("bot.playground.app")
    module.PlaygroundOptions = Options
    module.run_playground = run_playground
    monkeypatch.setitem(sys.modules, "bot.playground.app", module)
    return started


def burble(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "BURBLE_ENV_FILE": "", **environ}
    command = [sys.executable, "-m", "bot", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=cwd, stdin=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize("argv", [[], ["run"]])
def test_run_is_the_default_and_gets_the_settings(install_bot: Callable[[Serve], None], argv: list[str]) -> None:
    seen: list[Settings] = []

    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        seen.append(settings)
        return 0

    install_bot(serve)
    assert main(argv) == 0
    assert seen[0].discord_token is not None
    assert seen[0].discord_token.get_secret_value() == TOKEN


def test_the_bots_exit_code_is_the_commands(install_bot: Callable[[Serve], None]) -> None:
    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        return 2

    install_bot(serve)
    assert main([]) == 2


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 0, ""),
        (asyncio.CancelledError(), 1, "unexpected error (CancelledError)"),
        (SettingsError("DISCORD_TOKEN was refused"), 2, "  DISCORD_TOKEN was refused\n"),
        (StoreError("The file burble.db is not a database."), 1, "burble: The file burble.db is not a database.\n"),
        (RuntimeError(f"login with {TOKEN} failed"), 1, "unexpected error (RuntimeError)"),
    ],
)
def test_every_way_to_end_has_its_code_and_sentence(
    install_bot: Callable[[Serve], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    told: str,
) -> None:
    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        raise error

    install_bot(serve)
    assert main([]) == code
    shown = capsys.readouterr().err
    assert told in shown
    assert TOKEN not in shown


def test_an_unexpected_error_leaves_its_traceback_in_the_log(
    install_bot: Callable[[Serve], None], capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        raise RuntimeError("the ceiling fell down")

    install_bot(serve)
    main([])
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "RuntimeError: the ceiling fell down" in shown


def test_bad_settings_are_told_at_once_and_nothing_starts(
    install_bot: Callable[[Serve], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        pytest.fail("started with bad settings")

    install_bot(serve)
    monkeypatch.delenv("DISCORD_TOKEN")
    monkeypatch.setenv("NUM_CTX", "lots")
    assert main(["run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "burble: these settings need a change:"
    assert lines[2].startswith("  DISCORD_TOKEN is not set")
    assert lines[3].startswith("  NUM_CTX is not a whole number")


def test_a_misspelt_key_is_named_beside_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some.env").write_text(f"DISCORD_TOKN={TOKEN}\n")
    monkeypatch.setenv("BURBLE_ENV_FILE", str(tmp_path / "some.env"))
    assert main(["run"]) == 2
    told = capsys.readouterr().err
    assert "DISCORD_TOKEN is not set" in told
    assert "'DISCORD_TOKN' in" in told
    assert "did you mean DISCORD_TOKEN?" in told
    assert TOKEN not in told


def test_sigterm_before_the_bot_listens_is_a_clean_stop(install_bot: Callable[[Serve], None]) -> None:
    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(5)
        return 1

    install_bot(serve)
    assert main([]) == 0


def test_a_closed_terminal_does_not_change_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert main(["run"]) == 2


def test_the_playground_needs_no_token_and_has_defaults(playground: list[Options]) -> None:
    assert main(["playground"]) == 0
    assert playground == [
        Options(
            port=None,
            data_dir=Path("data/playground"),
            no_browser=False,
            no_bot=False,
            stand_in=False,
            speed=40.0,
            limiter="fixed",
            ollama_host="http://127.0.0.1:11434",
        )
    ]


def test_the_playground_gets_its_options_and_the_ollama_of_the_settings(
    playground: list[Options], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some.env").write_text("OLLAMA_HOST=gpu-box\n")
    monkeypatch.setenv("BURBLE_ENV_FILE", str(tmp_path / "some.env"))
    words = "playground --port 0 --no-browser --no-bot --stand-in --speed 7.5 --limiter leaky --data-dir"
    assert main([*words.split(), str(tmp_path)]) == 0
    assert dataclasses.astuple(playground[0]) == (0, tmp_path, True, True, True, 7.5, "leaky", "http://gpu-box:11434")


def test_the_placeholder_of_the_example_does_not_stop_the_playground(
    playground: list[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURBLE_ENV_FILE", str(ROOT / ".env.example"))
    assert main(["playground"]) == 0
    assert len(playground) == 1


def test_settings_that_would_stop_the_playgrounds_bot_stop_the_playground(
    playground: list[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUM_CTX", "lots")
    assert main(["playground"]) == 2
    assert playground == []


@pytest.mark.parametrize(
    "line",
    ["fly", "run --fast", "playground --port 65536", "playground --port x", "playground --speed 0",
     "playground --speed nan", "playground --limiter none"],
)  # fmt: skip
def test_arguments_that_make_no_sense_exit_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2
    assert "usage: burble" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--port abc", "'abc' is not a port: a number from 0 to 65535 is needed"),
        ("--port -1", "'-1' is not a port"),
        ("--speed fast", "'fast' is not a speed: a number above 0 is needed"),
    ],
)
def test_a_wrong_value_is_told_in_words(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["playground", *line.split()])
    assert told in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ended = burble("playground", "--no-browser", "--stand-in", "--data-dir", str(file / "below"), cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("burble: The directory ")
    assert "--data-dir" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_help_names_the_commands_the_settings_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for words in ("burble playground", "run the bot", "DISCORD_TOKEN", ".env", "BURBLE_ENV_FILE", "exit codes:"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_python_m_bot_is_the_same_command(tmp_path: Path) -> None:
    done = burble(cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "DISCORD_TOKEN is not set" in done.stderr
    assert burble("--version", cwd=tmp_path).stdout.startswith("burble ")
    assert list(tmp_path.iterdir()) == [], "a failed start leaves nothing behind"


def test_no_secret_in_a_foreign_line_is_shown(tmp_path: Path) -> None:
    done = burble(cwd=tmp_path, NUM_CTX=TOKEN, LOG_LEVEL=TOKEN, DISCORD_API_URL=TOKEN, KEEP_ALIVE=TOKEN)
    assert done.returncode == 2
    assert TOKEN not in done.stdout + done.stderr


def test_help_loads_neither_the_bot_nor_the_settings() -> None:
    code = (
        "import sys\n"
        "from bot.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'discord', 'aiohttp', 'pydantic', 'sqlalchemy', 'bot.settings.settings', 'bot.playground.app'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"


def test_the_log_is_set_up_with_the_level_and_the_secrets(
    install_bot: Callable[[Serve], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
        logging.getLogger("bot").debug("using %s", TOKEN)
        return 0

    install_bot(serve)
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert main([]) == 0
    assert "DEBUG    bot  using [secret]" in capsys.readouterr().err
