"""Names that other people's processes gave themselves, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Put `?` for what does not print: a process may call itself by an escape sequence, a newline or half a character.

    Undecodable bytes are surrogates here (`os.fsdecode`), and those cannot be printed at all.
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
