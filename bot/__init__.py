"""Burble: a Discord bot that streams the answers of local Ollama models."""
