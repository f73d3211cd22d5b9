"""One encoded column, and the few ways to build its Arrow array straight from buffers.

`pyarrow.array` is not used for Python values: it imports pandas whenever that is installed (0.3 s in the middle of the
first query, measured), is no faster for numbers, and takes 1.5 for an integer.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from debugtool.plugin.frames.valuetypes import ValueType, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

_AS_DIGITS = bytes.maketrans(b"\0\1", b"01")


@dataclass(frozen=True, slots=True)
class Column:
    """A column in its final Arrow type.

    Attributes:
        value_type: The frame type of the values.
        data: The values; its type is `arrow_type(value_type)`.
        enum_texts: Texts found while turning strings into an enum, None otherwise.
    """

    value_type: ValueType
    data: pa.Array
    enum_texts: list[str] | None = None


def pack_bits(flags: bytes) -> bytes:
    """Pack bytes of 0 and 1 into Arrow's bitmap: eight to a byte, the first in the lowest bit."""
    if not flags:
        return b""
    number = int(flags.translate(_AS_DIGITS)[::-1], 2)
    return number.to_bytes((len(flags) + 7) // 8, "little")


def fixed_width(value_type: ValueType, items: Any, count: int, valid: bytes | None) -> Column:
    """Make a column of numbers or times from a buffer of machine numbers.

    Args:
        value_type: A type with a `code`.
        items: Contiguous native numbers of that code, as a buffer; kept, not copied.
        count: How many there are.
        valid: One byte per row, 0 for null; None: no nulls.
    """
    return Column(value_type, _assemble(value_type, count, valid, items))


def bools(value_type: ValueType, flags: bytes, valid: bytes | None) -> Column:
    """Make a column of booleans from one byte each, 0 or 1; `valid` as in `fixed_width`."""
    return Column(value_type, _assemble(value_type, len(flags), valid, pack_bits(flags)))


def texts(value_type: ValueType, values: Sequence[str], valid: bytes | None) -> Column:
    """Make a column of strings; `valid` as in `fixed_width`.

    Raises:
        UnicodeEncodeError: A string holds half a surrogate pair.
        OverflowError: More than 2 GiB of text.
    """
    if all(map(str.isascii, values)):
        offsets = array("i", accumulate(map(len, values), initial=0))
        return Column(value_type, _assemble(value_type, len(values), valid, offsets, "".join(values).encode()))
    return binaries(value_type, [text.encode() for text in values], valid)


def binaries(value_type: ValueType, values: Sequence[bytes], valid: bytes | None) -> Column:
    """Make a column of byte strings (strings and JSON travel so); `valid` as in `fixed_width`.

    Raises:
        OverflowError: More than 2 GiB of bytes.
    """
    offsets = array("i", accumulate(map(len, values), initial=0))
    return Column(value_type, _assemble(value_type, len(values), valid, offsets, b"".join(values)))


def _assemble(value_type: ValueType, count: int, valid: bytes | None, *buffers: Any) -> pa.Array:
    import pyarrow as pa

    null_count = 0 if valid is None else valid.count(0)
    bitmap = pa.py_buffer(pack_bits(valid)) if valid is not None and null_count else None
    data = [pa.py_buffer(buffer) for buffer in buffers]
    return pa.Array.from_buffers(arrow_type(value_type), count, [bitmap, *data], null_count)
