"""What deserves a warning at the start: misspelt settings, and files that others on the machine can read.

None of it is an error: a ``.env`` may be shared with other programs, and a
machine may have one user only.
"""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.settings.env_file import ENV_FILE_KEY, env_file_path, read_env_file
from bot.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OURS: Final = "BURBLE_"
# Settings of Ollama's own, which people keep in the same file for its container
# (envconfig/config.go, AsMap): OLLAMA_MODELS is a directory, not our OLLAMA_MODEL.
_OLLAMAS: Final = frozenset({
    "OLLAMA_DEBUG", "OLLAMA_FLASH_ATTENTION", "OLLAMA_KV_CACHE_TYPE", "OLLAMA_GPU_OVERHEAD", "OLLAMA_KEEP_ALIVE",
    "OLLAMA_LLM_LIBRARY", "OLLAMA_LOAD_TIMEOUT", "OLLAMA_MAX_LOADED_MODELS", "OLLAMA_MAX_QUEUE", "OLLAMA_MODELS",
    "OLLAMA_NOHISTORY", "OLLAMA_NOPRUNE", "OLLAMA_NUM_PARALLEL", "OLLAMA_ORIGINS", "OLLAMA_SCHED_SPREAD",
    "OLLAMA_MULTIUSER_CACHE", "OLLAMA_CONTEXT_LENGTH", "OLLAMA_NEW_ENGINE", "OLLAMA_REMOTES", "OLLAMA_AUTH",
    "OLLAMA_VULKAN", "OLLAMA_EDITOR",
})  # fmt: skip
_SIMILARITY = 0.8


def doubtful_keys(environ: Mapping[str, str], env_file: str | Path | None = None) -> list[str]:
    """Return a sentence for each key in the ``.env`` file that looks like one of ours and is none.

    The environment is not looked at: what stands there is mostly for others.
    No sentence quotes a value.
    """
    file = env_file_path(environ, env_file)
    pairs, _ = read_env_file(environ, env_file)
    known = [name.upper() for name in Settings.model_fields]
    doubts = []
    for key in pairs:
        if key in known or key in _OLLAMAS or key == ENV_FILE_KEY:
            continue
        meant = _meant(key, known)
        if meant or key.startswith(_OURS):
            hint = f"did you mean {meant}?" if meant else "see .env.example for those there are."
            doubts.append(f"{key!a} in {file} is not a setting of mine and has no effect: {hint}")
    return doubts


def _meant(key: str, known: list[str]) -> str:
    """Return the known key that *key* may stand for, or an empty string."""
    word = key.removeprefix(_OURS)
    is_ours = key != word or "_" in word  # USER, DATA and LOG are anybody's
    begun = [name for name in known if is_ours and (name == word or name.startswith(f"{word}_"))]
    close = difflib.get_close_matches(word, known, n=1, cutoff=_SIMILARITY)
    return next(iter([*close, *begun]), "")


def shared_env_file(environ: Mapping[str, str], env_file: str | Path | None = None) -> list[str]:
    """Return a sentence with the remedy if others can read or change the ``.env`` file."""
    file = env_file_path(environ, env_file)
    if file is None or not _mode(file) & 0o066:
        return []
    return [f"{file} holds secrets, and other users of this machine can get at it. Run: chmod 600 {file}"]


def shared_database(database: Path | None) -> list[str]:
    """Return a sentence with the remedy for each thing about a database file that lets others at it."""
    if database is None:
        return []
    return list(_shared(database))


def _shared(database: Path) -> Iterator[str]:
    folder = _mode(database.parent)
    # a file is safe in a directory that others cannot enter
    reach = (0o060 if folder & stat.S_IXGRP else 0) | (0o006 if folder & stat.S_IXOTH else 0)
    files = [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")]
    exposed = [str(file) for file in files if _mode(file) & reach]
    if exposed:
        yield (
            "The conversations are kept where other users of this machine can get at them. "
            f"Run: chmod 600 {' '.join(exposed)}"
        )
    if folder & 0o022 and not folder & stat.S_ISVTX:
        yield (
            f"Other users of this machine can put other files in the place of those in {database.parent}. "
            f"Run: chmod 700 {database.parent}"
        )


def _mode(path: Path) -> int:
    """Return the permission bits of *path*; none where there is no such thing, or no such bits (Windows)."""
    if os.name == "nt":
        return 0
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
