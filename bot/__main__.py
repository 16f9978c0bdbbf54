"""The command line: ``burble run``, ``playground``, ``backup`` and ``restore``, and what their exit codes mean.

0 after a clean stop, 2 for bad settings or a token that Discord refuses, 3 after
a stop that hung and was ended by force, 1 for anything else. Modules are
imported where they are used: ``--help`` answers at once and a plain run does not
load the playground.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import logging
import math
import os
import signal
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.errors import BurbleError, SettingsError
from bot.log import setup_logging

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from bot.settings.settings import Settings

EXIT_CLEAN: Final = 0
EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2

_log = logging.getLogger(__name__)

_EPILOG = """\
examples:
  burble playground           try everything in a web page; needs no Discord account
  burble                      run the bot (the same as: burble run)
  LOG_LEVEL=DEBUG burble      change a setting for one run

settings:
  They come from the environment and from a file named .env in the current
  directory (BURBLE_ENV_FILE names another); the environment wins. The bot needs
  DISCORD_TOKEN; everything else has a default. .env.example explains each.

exit codes:
  0 stopped cleanly    2 wrong settings or a refused token    3 a stop that hung, ended by force
  1 anything else
"""


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keep our own line breaks; leave room for long options before their help."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* (default: the process's arguments) names; return its exit code.

    Raises:
        SystemExit: for ``--help``, ``--version`` and arguments that make no sense.
    """
    options = _build_parser().parse_args(argv)
    os.umask(0o077)  # what people said is for the owner of this process alone, copies and lock files too
    try:
        _take_sigterm_for_ctrl_c()
        if options.command in {"backup", "restore"}:
            return _copy_database(options)
        return asyncio.run(_playground(options) if options.command == "playground" else _bot(options))
    except KeyboardInterrupt:
        return EXIT_CLEAN
    except SettingsError as error:
        _say("these settings need a change:\n\n" + textwrap.indent(str(error), "  "))
        return EXIT_SETTINGS
    except BurbleError as error:
        _say(error.text)
        return EXIT_FAILED
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the last net: a code, not a bare traceback
        _log.exception("Unexpected error")
        _say(f"stopped by an unexpected error ({type(error).__name__}); the log above has the details.")
        return EXIT_FAILED


def _bot(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Check the settings and return the running bot, to be awaited."""
    settings = _settings(require_token=True)
    from bot.app import serve  # noqa: PLC0415 - see the module's docstring

    return serve(settings, stop_with_input=getattr(options, "stop_with_input", False))


def _settings(*, require_token: bool = False, ignore: Sequence[str] = ()) -> Settings:
    """Check the settings, set up the log, and say there what about them may be a mistake.

    Raises:
        SettingsError: some are wrong; keys that look misspelt are named with them.
    """
    from bot.settings.settings import load_settings  # noqa: PLC0415 - see the module's docstring
    from bot.settings.startup_warnings import doubtful_keys, shared_env_file  # noqa: PLC0415

    doubts = doubtful_keys(os.environ)
    try:
        settings = load_settings(require_token=require_token, ignore=ignore)
    except SettingsError as error:
        raise SettingsError("\n".join((str(error), *doubts))) from None
    setup_logging(settings.log_level, secrets=settings.secrets)
    for doubt in (*doubts, *shared_env_file(os.environ)):
        _log.warning("%s", doubt)
    return settings


def _copy_database(options: argparse.Namespace) -> int:
    """Take a backup or put one back."""
    from bot.backup import backup, restore  # noqa: PLC0415 - see the module's docstring

    settings = _settings(ignore=("DISCORD_TOKEN",))
    if options.command == "backup":
        backup(settings.store_url, options.file)
        _say(f"the conversations are saved in {options.file}.")
        return EXIT_CLEAN
    aside = restore(settings.store_url, options.file)
    _say(f"the conversations are those of {options.file} now." + (f" The former ones are in {aside}." if aside else ""))
    return EXIT_CLEAN


def _playground(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Check the settings that its bot will read and return the running playground, to be awaited."""
    # The playground hands its bot a token, an address and a database of its own.
    settings = _settings(ignore=("DISCORD_TOKEN", "DISCORD_API_URL", "DATABASE_URL"))
    from bot.playground.app import PlaygroundOptions, run_playground  # noqa: PLC0415 - see the module's docstring

    return run_playground(
        PlaygroundOptions(
            port=options.port,
            data_dir=options.data_dir or settings.data_dir / "playground",
            no_browser=options.no_browser,
            no_bot=options.no_bot,
            stand_in=options.stand_in,
            speed=options.speed,
            limiter=options.limiter,
            ollama_host=settings.ollama_host,
        )
    )


def _take_sigterm_for_ctrl_c() -> None:
    """Make SIGTERM end a start as Ctrl-C does, until the bot has handlers of its own.

    As the first process of a container the default would be to ignore it.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(
        prog="burble",
        description="A self-hosted Discord bot that talks with local Ollama models and streams their answers.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"burble {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    running = commands.add_parser(
        "run",
        help="run the bot (also without any command)",
        description="Connect to Discord with DISCORD_TOKEN and answer until stopped with Ctrl-C or SIGTERM.",
    )
    running.add_argument(
        "--stop-with-input",
        action="store_true",
        help="stop at the end of standard input as well, for a program that starts the bot and may be killed",
    )
    _add_playground(commands)
    _add_copies(commands)
    return parser


def _add_copies(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe ``burble backup`` and ``burble restore``."""
    saving = commands.add_parser(
        "backup",
        help="save the conversations to a file; the bot may be running",
        description="Write a consistent copy of the SQLite database to FILE, which must not exist yet. "
        "The bot may be running. For PostgreSQL, use pg_dump.",
    )
    saving.add_argument("file", metavar="FILE", type=Path, help="the new file")
    restoring = commands.add_parser(
        "restore",
        help="put a backup back; the bot must be stopped",
        description="Put the copy in FILE in the place of the SQLite database, which is kept under another name. "
        "The bot must be stopped.",
    )
    restoring.add_argument("file", metavar="FILE", type=Path, help="a file that burble backup wrote")


def _add_playground(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe ``burble playground``."""
    parser = commands.add_parser(
        "playground",
        help="try the bot in a web page, without a Discord account",
        description=(
            "Run a small Discord on this machine, the bot connected to it, and a web page to\n"
            "talk with it. Models come from the Ollama at OLLAMA_HOST if one answers there,\n"
            "else from a stand-in that says so. Everything listens on 127.0.0.1 only."
        ),
        formatter_class=_HelpFormatter,
    )
    option = parser.add_argument
    option("--port", type=_port, help="port of the web page; 0 takes any (default: 8765, or the next free)")
    option("--no-browser", action="store_true", help="only print the page's address")
    option("--no-bot", action="store_true", help="run Discord alone; prints its URL and a token for your own bot")
    option("--stand-in", action="store_true", help="use the stand-in model even if Ollama answers")
    option("--speed", type=_speed, default=40.0, metavar="TOKENS_PER_SECOND", help="of the stand-in (default: 40)")
    option(
        "--limiter",
        choices=("fixed", "leaky"),
        default="fixed",
        help="how rate limits refill: fixed window or leaking bucket (default: fixed)",
    )
    option("--data-dir", type=Path, metavar="DIR", help="where its channels are kept (default: DATA_DIR/playground)")


def _version() -> str:
    """Return the installed version."""
    try:
        return importlib.metadata.version("burble")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "(not installed)"


def _port(text: str) -> int:
    """Read a TCP port, 0 included."""
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to 65535 is needed")
    return int(text)


def _speed(text: str) -> float:
    """Read a positive, finite number of tokens per second."""
    with contextlib.suppress(ValueError):
        speed = float(text)
        if math.isfinite(speed) and speed > 0:
            return speed
    raise argparse.ArgumentTypeError(f"{text!r} is not a speed: a number above 0 is needed")


def _say(text: str) -> None:
    """Tell the person at the terminal; a terminal that is gone is no error."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"burble: {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
