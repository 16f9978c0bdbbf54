"""Who said what: the schema, the store, and which turns fit the window."""
