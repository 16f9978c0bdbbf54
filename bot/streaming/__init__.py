"""Pages to edits: pure, no Discord, no sockets, the clock injected."""
