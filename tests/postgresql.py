"""A PostgreSQL server of our own, where one is installed: on loopback, in a temporary directory, gone at the end."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ACCOUNTS = ("postgres", "nobody")
# Nothing in it outlives the tests, so it need not survive a power cut; it survives its own end.
_OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "autovacuum=off",
    "timezone=Asia/Kathmandu",  # of no importance to us, so let it be odd
)
_EMPTY = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'burble' AND datname = current_database()",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    "GRANT USAGE ON SCHEMA public TO public",
)


def find_postgresql() -> Path | None:
    """Return the directory with the newest server's programs, or None where it or the driver is not installed."""
    if importlib.util.find_spec("psycopg") is None:
        return None
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found += [Path(path).parent for path in (shutil.which("initdb"),) if path]
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdecimal()], default=None)


class PostgresServer:
    """A server in *directory*; every database in it belongs to an ordinary role, as an operator would have it."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._data = directory / "data"
        self._log = directory / "log"
        self._numbers = itertools.count()
        self._free: list[str] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._as_account: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses root
            account = next(each for each in pwd.getpwall() if each.pw_name in _ACCOUNTS)
            os.chown(directory, account.pw_uid, account.pw_gid)
            self._as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        initdb = [programs / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync"]
        self._run(*initdb, "-E", "UTF8", "--locale=C.UTF-8")
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, *command: object) -> None:
        ended = subprocess.run(
            [str(part) for part in command], capture_output=True, check=False, cwd="/", **self._as_account
        )
        assert ended.returncode == 0, ended.stderr.decode()

    def start(self) -> None:
        """Start it and wait until it answers."""
        import psycopg  # noqa: PLC0415 - no test needs it where it is not installed

        settings = [argument for option in _OPTIONS for argument in ("-c", option)]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as_account)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.sql("SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it as a power cut would: no session is told more than that it is over."""
        assert self._process is not None
        self._process.send_signal(3)  # SIGQUIT, "immediate shutdown"
        self._process.wait(30)

    def program(self, name: str, *arguments: str) -> str:
        """Run one of the server's programs; return what it printed."""
        command = [str(self._programs / name), *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    def sql(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the administrator."""
        import psycopg  # noqa: PLC0415 - see above

        address = f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        with contextlib.closing(psycopg.connect(address, autocommit=True)) as connection:
            for statement in statements:
                connection.execute(statement)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Return the URL of a database of its own, empty; used again, since making one costs more than most tests."""
        if not self._free:
            self._free.append(f"burble_{next(self._numbers)}")
            self.sql(f"CREATE DATABASE {self._free[0]} OWNER burble")
        name = self._free.pop()
        try:
            yield f"postgresql://burble@127.0.0.1:{self.port}/{name}"
        finally:
            self.sql(f"ALTER DATABASE {name} RESET ALL")
            self.sql(*_EMPTY, database=name)
            self._free.append(name)


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgresServer]:
    """Run a server; the database it has is for nobody else."""
    programs = find_postgresql()
    assert programs is not None, "CI needs PostgreSQL (apt-get install postgresql)"
    with tempfile.TemporaryDirectory(prefix="burble-postgresql-") as directory:
        server = PostgresServer(programs, Path(directory))
        server.start()
        try:
            server.sql("CREATE ROLE burble LOGIN")
            yield server
        finally:
            server.stop()
