"""How the benchmark talks with its servers: processes that take and give lines of JSON on stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

_LONGEST_LINE = 1 << 28


async def serve(hello: dict[str, Any], command: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
    """In a server's process: say *hello*, then answer each line with what *command* returns, until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps(hello), flush=True)
    while line := await reader.readline():
        print(json.dumps(await command(json.loads(line))), flush=True)


@dataclass
class Server:
    """A server's process, seen from the benchmark.

    Attributes:
        hello: what it said when it was ready.
    """

    process: asyncio.subprocess.Process
    hello: dict[str, Any]

    async def do(self, what: str, **values: Any) -> dict[str, Any]:
        """Send a command; return its result."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **values}).encode() + b"\n")
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a server of the benchmark died with code {await self.process.wait()}")
        result: dict[str, Any] = json.loads(line)
        return result


@contextlib.asynccontextmanager
async def running(module: str, *arguments: str) -> AsyncIterator[Server]:
    """Run ``python -m module`` until the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdout is not None
    try:
        yield Server(process, json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
