"""Model names: what Ollama takes for the same model (``types/model/name.go``)."""

from __future__ import annotations


def canonical_name(name: str) -> str:
    """Return *name* as the lists show it, lower-cased for comparing: always with a tag.

    >>> canonical_name(" Llama3.2 ")
    'llama3.2:latest'
    >>> canonical_name("hf.co:443/some/model")
    'hf.co:443/some/model:latest'
    """
    trimmed = name.strip().lower()
    _, _, last = trimmed.rpartition("/")
    return trimmed if ":" in last or not trimmed else f"{trimmed}:latest"


def same_model(one: str, other: str) -> bool:
    """Return whether both names mean the same model (``llama3.2`` and ``llama3.2:latest`` do)."""
    return canonical_name(one) == canonical_name(other)


def is_cloud_name(name: str) -> bool:
    """Return whether Ollama hands questions to that model on to its cloud (``internal/modelref``)."""
    return name.strip().lower().endswith((":cloud", "-cloud"))
