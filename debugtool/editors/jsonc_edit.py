"""Changes to JSON with comments: each is a few inserted or replaced characters, laid out as the file is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from debugtool.editors.jsonc import Node, skip_blanks_and_comments

DEFAULT_INDENT = "    "


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Attributes:
        newline: Its line ends; empty for a file of a single line.
        indent: One step of indentation.
    """

    newline: str
    indent: str

    @classmethod
    def of(cls, text: str, root: Node) -> Layout:
        """See it from the first line break and the first member."""
        match = re.search(r"\r\n|\r|\n", text)
        # A document that says nothing yet, `{}`, has no layout to keep.
        newline = match[0] if match else "" if root.members else "\n"
        first = root.members[0].start if root.members else None
        own_line = first is not None and _starts_line(text, first)
        indent = _line_indent(text, first) if own_line and first is not None else ""
        return cls(newline, indent or DEFAULT_INDENT)

    def dump(self, value: object, indent: str) -> str:
        """Write a value that begins on a line indented by `indent`; on one line in a file of one line."""
        dumped = json.dumps(value, ensure_ascii=False, indent=self.indent if self.newline else None)
        if any("\ud800" <= character <= "\udfff" for character in dumped):
            # A path with bytes that are no UTF-8: only escapes can carry it.
            dumped = json.dumps(value, indent=self.indent if self.newline else None)
        return dumped.replace("\n", self.newline + indent)


@dataclass
class Edit:
    """Changes collected against one text, applied together.

    Attributes:
        text: The text as it was when it was parsed.
        layout: How new text is laid out.
    """

    text: str
    layout: Layout
    _changes: list[tuple[int, int, str]] = field(default_factory=list)

    def apply(self) -> str:
        """Give the text with all changes; without any it is the same."""
        parts, position = [], 0
        for start, end, replacement in sorted(self._changes, key=lambda change: change[:2]):
            parts += [self.text[position:start], replacement]
            position = end
        return "".join([*parts, self.text[position:]])

    def replace(self, node: Node, value: object) -> None:
        """Replace a value, unless it is this one already."""
        if not same(node.value, value):
            written = self.layout.dump(value, _line_indent(self.text, node.start))
            self._changes.append((node.start, node.end, written))

    def set(self, container: Node, values: dict[str, object]) -> None:
        """Give members of an object these values; those that it does not have come at its end."""
        missing: dict[str, object] = {}
        for key, value in values.items():
            node = container.get(key)
            if node is None:
                missing[key] = value
            else:
                self.replace(node, value)
        self._add(container, [member.start for member in container.members], missing)

    def append(self, array: Node, values: list[object]) -> None:
        """Add items at the end of an array."""
        self._add(array, [item.start for item in array.items], values)

    def _add(self, container: Node, starts: list[int], new: dict[str, object] | list[object]) -> None:
        if not new:
            return
        if starts:
            self._add_after_last(container, starts, new)
        else:
            self._fill(container, new)

    def _add_after_last(self, container: Node, starts: list[int], new: dict[str, object] | list[object]) -> None:
        last = container.members[-1].node if container.members else container.items[-1]
        anchor = last.end if container.comma is None else container.comma + 1
        position = skip_blanks_and_comments(self.text, anchor, same_line=True)
        own_line = _starts_line(self.text, starts[-1])
        after_line_comment = position != anchor and self.text[position : position + 1] in ("\r", "\n")
        indent = _line_indent(self.text, starts[-1])
        between = self.layout.newline + indent if own_line or after_line_comment else " "
        text = ",".join(between + part for part in self._parts(new, indent))
        if container.comma is None and position == anchor:
            text = "," + text
        elif container.comma is None:
            # The comma belongs to the value, before the comment about it.
            self._changes.append((last.end, last.end, ","))
        self._changes.append((position, position, text if container.comma is None else text + ","))

    def _fill(self, container: Node, new: dict[str, object] | list[object]) -> None:
        close = container.end - 1
        indent = _line_indent(self.text, container.start)
        if not self.layout.newline:
            self._changes.append((close, close, ", ".join(self._parts(new, indent))))
            return
        inner = indent + self.layout.indent
        text = ",".join(self.layout.newline + inner + part for part in self._parts(new, inner))
        blanks = len(self.text[:close].rstrip(" \t\r\n"))
        if re.search(r"[\r\n]", self.text[blanks:close]):  # the bracket stands on its own line already
            self._changes.append((blanks, blanks, text))
        else:
            self._changes.append((close, close, text + self.layout.newline + indent))

    def _parts(self, new: dict[str, object] | list[object], indent: str) -> list[str]:
        if isinstance(new, list):
            return [self.layout.dump(value, indent) for value in new]
        return [f"{json.dumps(key)}: {self.layout.dump(value, indent)}" for key, value in new.items()]


def same(left: object, right: object) -> bool:
    """Say whether two values are the same JSON: unlike in Python, `true` is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _line_indent(text: str, position: int) -> str:
    """Give the blanks at the start of the line that `position` is in."""
    start = _line_start(text, position)
    match = re.compile(r"\ufeff?([ \t]*)").match(text, start)
    return match[1] if match else ""


def _starts_line(text: str, position: int) -> bool:
    """Say whether nothing but blanks and comments precede `position` on its line, and it has a line before it."""
    start = _line_start(text, position)
    return start > 0 and not re.sub(r"/\*.*?\*/|[ \t]", "", text[start:position])
