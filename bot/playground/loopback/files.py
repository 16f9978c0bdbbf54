"""Uploaded files: kept in memory, and beside the world's JSON file if it has one."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import NamedTuple

from bot.playground.loopback.permissions import Payload


class StoredFile(NamedTuple):
    """One uploaded file."""

    filename: str
    content_type: str
    data: bytes


class Files:
    """The attachments of all messages by id.

    Args:
        folder: where they outlive a restart; None keeps them in memory only.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[str, StoredFile] = {}

    def add(self, attachment_id: str, channel_id: str, upload: Payload) -> Payload:
        """Keep an upload ``{filename, data, content_type?, description?}`` and return its attachment object.

        The URLs in it are paths; `payloads.render` makes them absolute.
        """
        filename = _safe_name(str(upload.get("filename") or "file"))
        data = bytes(upload.get("data") or b"")
        content_type = upload.get("content_type") or mimetypes.guess_type(filename)[0] or "application/octet-stream"
        stored = StoredFile(filename, str(content_type), data)
        self._files[attachment_id] = stored
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{attachment_id}-{filename}").write_bytes(data)
        path = f"/attachments/{channel_id}/{attachment_id}/{filename}"
        payload: Payload = {
            "id": attachment_id,
            "filename": filename,
            "size": len(data),
            "content_type": stored.content_type,
            "url": path,
            "proxy_url": path,
        }
        if upload.get("description"):
            payload["description"] = str(upload["description"])
        return payload

    def get(self, attachment_id: str, filename: str) -> StoredFile | None:
        """Return a file if its name is right too, else None."""
        stored = self._files.get(attachment_id)
        is_name = attachment_id.isdecimal() and filename == _safe_name(filename)  # no way out of the folder
        if stored is None and self._folder is not None and is_name:
            path = self._folder / f"{attachment_id}-{filename}"
            if path.is_file():
                kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
                return StoredFile(filename, kind, path.read_bytes())
        return stored if stored is not None and stored.filename == filename else None


def _safe_name(filename: str) -> str:
    """Keep what Discord keeps of a file name: letters, digits, dot, dash, underscore."""
    return re.sub(r"[^\w.-]+", "_", filename).strip("._") or "file"
