"""Rules for every test: no setting leaks in, nothing but loopback is reached, examples by profile."""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import socket
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from bot.settings.env_file import ENV_FILE_KEY
from bot.settings.settings import Settings
from tests.postgresql import PostgresServer, find_postgresql, running_postgresql

# `fast` while working, `ci` for a thorough run (HYPOTHESIS_PROFILE, or CI=true).
# `deep` is what the tests of splitter and filter get under `ci`: the place where one odd
# document in thousands tears a page. A test's own @settings win over all three.
hypothesis.settings.register_profile("fast", max_examples=60, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("deep", hypothesis.settings.get_profile("ci"), max_examples=5000)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "fast")
hypothesis.settings.load_profile(PROFILE)

DEEP_FILES = ("test_answer_filter", "test_losses", "test_splitter")
DEEP_TIMEOUT_SECONDS = 300
WORKERS = 2
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine; ``CHROMIUM`` names one elsewhere."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in BROWSERS if (path := shutil.which(name))), None)


def is_deep(path: Path) -> bool:
    """Return True for a file whose tests get the `deep` profile in a thorough run."""
    return PROFILE == "ci" and path.name.startswith(DEEP_FILES)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Import each file under its profile: Hypothesis takes a test's settings when it is decorated."""
    if isinstance(collector, pytest.Module):
        hypothesis.settings.load_profile("deep" if is_deep(collector.path) else PROFILE)
    return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests out whose program is not installed, and say so; in CI its absence is a failure."""
    for item in items:
        if is_deep(item.path) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(DEEP_TIMEOUT_SECONDS))
    if os.environ.get("CI"):
        return
    missing = {marker for marker, (find, _) in _NEEDED.items() if not find()}
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in missing)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


_NEEDED: dict[str, tuple[Callable[[], object], str]] = {
    "browser": (find_chromium, "no Chromium found (install chromium, or name one in CHROMIUM)"),
    "postgresql": (find_postgresql, "no server or no driver found (install postgresql and psycopg)"),
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests were left out, and why."""
    for marker, (find, sentence) in _NEEDED.items():
        if not find() and not os.environ.get("CI"):
            terminalreporter.write_line(f"Tests marked {marker} are left out: {sentence}.")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share a run of all tests among some processes: most of them wait, for sockets and for clocks of their own."""
    options = config.option
    if hasattr(config, "workerinput"):  # one of those processes, which is to start none of its own
        return
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and getattr(options, "numprocesses", 0) is None:
        options.numprocesses, options.dist = WORKERS, "worksteal"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> str:
    """The Chromium to drive."""
    path = find_chromium()
    if path is None:
        pytest.fail("CI needs Chromium for the browser tests (apt-get install chromium)")
    return path


@pytest.fixture(autouse=True)
def _no_settings_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the machine's own settings and the checkout's ``.env`` out of the way."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(ENV_FILE_KEY, "")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a test did to the process-wide logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logger.level for name, logger in root.manager.loggerDict.items() if hasattr(logger, "level")}
    yield
    root.handlers[:] = [h for h in root.handlers if h in handlers or type(h).__module__ != "bot.log"]
    root.setLevel(level)
    for name, logger in root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and logger.level != levels.get(name, logging.NOTSET):
            logger.setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture(autouse=True)
def _umask_as_before() -> Iterator[None]:
    """Undo what the command line did to the modes of new files."""
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)


class NotLoopbackError(OSError):
    """A test tried to leave this machine."""


def is_loopback(host: str | bytes | None) -> bool:
    """Return True if *host* is this machine, by name or by number."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost", "0.0.0.0", "::"} or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_number(host: str | bytes | None) -> bool:
    """Return True if *host* is an address that needs no resolver."""
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except (ValueError, AttributeError):
        return False
    return True


@pytest.fixture(scope="session")
def _escapes() -> Iterator[list[str]]:
    """Stand before every connection and every name look-up of the process; collect what wants out."""
    patch = pytest.MonkeyPatch()
    escapes: list[str] = []
    resolve = socket.getaddrinfo

    def guard(name: str) -> None:
        original = getattr(socket.socket, name)

        def checked(self: socket.socket, address: object) -> object:
            if self.family in {socket.AF_INET, socket.AF_INET6} and not is_loopback(address[0]):
                escapes.append(f"{name} to {address}")
                raise NotLoopbackError(escapes[-1])
            return original(self, address)

        patch.setattr(socket.socket, name, checked)

    def getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        # No resolver is asked, so "unknown host" is the same on every machine.
        if not (is_loopback(host) or is_number(host)):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    guard("connect")
    guard("connect_ex")
    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield escapes
    patch.undo()


@pytest.fixture(autouse=True)
def _loopback_only(_escapes: list[str]) -> Iterator[None]:
    """Fail a test that tried to reach anything but loopback, even if its code swallowed the error."""
    _escapes.clear()
    yield
    assert not _escapes, f"a test left this machine: {_escapes}"
