"""Thin extensions: listeners and app commands, guard clauses, one call into bot."""
