"""A small Django project, as people have them: accounts, sessions, forms, a streamed answer, a background event."""
