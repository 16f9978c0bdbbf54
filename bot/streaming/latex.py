"""LaTeX formulas as readable Unicode, where that can be done."""

from __future__ import annotations

__all__ = ["to_unicode"]


def to_unicode(tex: str) -> str | None:
    """Return *tex* in Unicode characters, or None if it would not read well."""
    return None if "\\" in tex or "^" in tex or "_" in tex else " ".join(tex.split())
