"""Text to pages and pages to edits: pure, no Discord, no sockets, the clock injected."""
