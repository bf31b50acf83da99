"""The files that are shipped, as they are but for addresses, paths and users."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def shipped(path, replacements):
    """The text of a shipped file; whatever is to be replaced must be in it."""
    text = (ROOT / path).read_text()
    for old, new in replacements.items():
        assert old in text, f"{path} has no {old!r}"
        text = text.replace(old, str(new))
    return text
