"""After a kill, a restart or a gap: what was left is closed, what was missed is answered."""
