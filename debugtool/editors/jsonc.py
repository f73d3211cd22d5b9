"""JSON with comments, read with positions: where each value stands, so that an edit touches nothing else.

Why not a library: of those on PyPI that keep the bytes, jsonc-edit needs Node and fetches a parser when it first runs,
jsoncgx is GPL, and tree-sitter-json knows no trailing commas; the others lose comments or indentation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"')
_BLANK = re.compile(r"[ \t\r\n]+")
_LINE_COMMENT = re.compile(r"//[^\r\n]*")
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}

_MAX_DEPTH = 100  # deeper than any real file; each level takes three of Python's 1,000 frames


class JsoncError(ValueError):
    """The text is not JSON with comments.

    Attributes:
        line: Line of the first mistake, from 1.
        column: Column of it in characters, from 1.
    """

    def __init__(self, problem: str, text: str, position: int) -> None:
        lines = re.split(r"\r\n|\r|\n", text[:position])
        self.line, self.column = len(lines), len(lines[-1]) + 1
        super().__init__(f"{problem} at line {self.line}, column {self.column}")


@dataclass(frozen=True)
class Node:
    """A value and where it stands: `text[start:end]`.

    Attributes:
        value: What it means; of two members of one name the last counts, as in VS Code.
        members: Its members in the order of the text, empty unless it is an object.
        items: Its items, empty unless it is an array.
        comma: Where its trailing comma stands; None without one.
    """

    start: int
    end: int
    value: object
    members: tuple[Member, ...] = ()
    items: tuple[Node, ...] = ()
    comma: int | None = None

    def get(self, key: str) -> Node | None:
        """Give the value of a member; None when this is no object or has no such member."""
        return next((member.node for member in reversed(self.members) if member.key == key), None)


@dataclass(frozen=True)
class Member:
    """A member of an object: its key, which starts at `start`, and its value."""

    start: int
    key: str
    node: Node


def parse(text: str) -> Node | None:
    """Read JSON with comments and trailing commas; a byte order mark may come first.

    Returns:
        The document's value; None when the text holds nothing but blanks and comments.

    Raises:
        JsoncError: It is something else.
    """
    reader = _Reader(text)
    position = reader.skip(1 if text.startswith("\ufeff") else 0)
    if position == len(text):
        return None
    node = reader.value(position, 0)
    if (end := reader.skip(node.end)) != len(text):
        raise JsoncError("Text after the end of the document", text, end)
    return node


def skip_blanks_and_comments(text: str, position: int, *, same_line: bool = False) -> int:
    """Give the position of what follows the blanks and comments at `position`.

    Args:
        text: JSON with comments.
        position: Where to begin: not within a string or comment.
        same_line: Give the end of the last comment that begins on this line instead, `position` itself without one.

    Raises:
        JsoncError: A comment has no end.
    """
    end_of_last = position
    while position < len(text):
        if match := _BLANK.match(text, position):
            if same_line and ("\n" in match[0] or "\r" in match[0]):
                break
        elif match := (_LINE_COMMENT.match(text, position) or _BLOCK_COMMENT.match(text, position)):
            end_of_last = match.end()
        elif text.startswith("/*", position):
            raise JsoncError("Comment without an end", text, position)
        else:
            break
        position = match.end()
    return end_of_last if same_line else position


class _Reader:
    """A recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def skip(self, position: int) -> int:
        return skip_blanks_and_comments(self.text, position)

    def value(self, start: int, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise JsoncError("Nested too deeply", self.text, start)
        first = self.text[start : start + 1]
        if first == "{":
            return self.object(start, depth)
        if first == "[":
            return self.array(start, depth)
        if first == '"':
            return self.string(start)
        if number := _NUMBER.match(self.text, start):
            return Node(start, number.end(), self.number(number[0], start))
        for word, value in _WORDS.items():
            if self.text.startswith(word, start):
                return Node(start, start + len(word), value)
        raise JsoncError("A value is missing", self.text, start)

    def number(self, text: str, start: int) -> object:
        try:
            return json.loads(text)
        except ValueError as error:  # Python limits the digits of an int
            raise JsoncError("Number with too many digits", self.text, start) from error

    def string(self, start: int) -> Node:
        match = _STRING.match(self.text, start)
        if match is None:
            raise JsoncError("String without an end", self.text, start)
        try:
            return Node(start, match.end(), json.loads(match[0], strict=False))
        except json.JSONDecodeError as error:
            raise JsoncError(error.msg, self.text, start + error.pos) from error

    def array(self, start: int, depth: int) -> Node:
        items: list[Node] = []
        position, comma = self.skip(start + 1), None
        while not self.text.startswith("]", position):
            items.append(self.value(position, depth + 1))
            position, comma = self.separator(items[-1].end, "]")
        return Node(start, position + 1, [item.value for item in items], items=tuple(items), comma=comma)

    def object(self, start: int, depth: int) -> Node:
        members: list[Member] = []
        position, comma = self.skip(start + 1), None
        while not self.text.startswith("}", position):
            members.append(self.member(position, depth))
            position, comma = self.separator(members[-1].node.end, "}")
        value = {member.key: member.node.value for member in members}
        return Node(start, position + 1, value, members=tuple(members), comma=comma)

    def member(self, start: int, depth: int) -> Member:
        if not self.text.startswith('"', start):
            raise JsoncError("A name in double quotes is missing", self.text, start)
        key = self.string(start)
        colon = self.skip(key.end)
        if not self.text.startswith(":", colon):
            raise JsoncError("A colon is missing", self.text, colon)
        return Member(start, str(key.value), self.value(self.skip(colon + 1), depth + 1))

    def separator(self, position: int, closing: str) -> tuple[int, int | None]:
        """Go over the comma after a value; give what follows, and where the comma was."""
        position = self.skip(position)
        if self.text.startswith(",", position):
            return self.skip(position + 1), position
        if not self.text.startswith(closing, position):
            raise JsoncError(f"A comma or {closing} is missing", self.text, position)
        return position, None
