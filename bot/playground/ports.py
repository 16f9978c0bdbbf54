"""Which port of 127.0.0.1 the page gets."""

from __future__ import annotations

import os
import socket

from bot.playground.loopback.errors import PlaygroundError

__all__ = ["DEFAULT_PORT", "choose_port", "port_refused"]

DEFAULT_PORT = 8765
_TRIED = 20


def choose_port(wanted: int | None) -> int:
    """Return *wanted* (0 stands for any free port), or without a wish the first free one from `DEFAULT_PORT` on.

    Raises:
        PlaygroundError: *wanted* cannot be had.
    """
    if wanted is not None:
        try:
            return _probe(wanted)
        except OSError as error:
            raise port_refused(wanted, error) from error
    for port in range(DEFAULT_PORT, DEFAULT_PORT + _TRIED):
        try:
            return _probe(port)
        except OSError:
            continue
    return 0


def port_refused(port: int, error: OSError) -> PlaygroundError:
    """Return the refusal of a port, with what the system says about it."""
    why = (error.strerror or str(error)).lower()
    return PlaygroundError(
        f"Port {port} cannot be used: {why}. Choose another with --port, or leave --port out to take the next free one."
    )


def _probe(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # a port that was closed a moment ago is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
