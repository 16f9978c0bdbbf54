"""A growing Markdown text to Discord messages, well-formed at every moment: pure."""
