"""Dataclasses whose JSON form is that of a Go struct: declared keys, empty ones left out, types checked both ways."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Self

from debugtool.plugin.frames.errors import FrameError


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value is written to and read from JSON; both functions get the value and its path, for errors."""

    write: Callable[[Any, str], Any]
    read: Callable[[Any, str], Any]


class WireObject:
    """Base of the dataclasses below: JSON keys and kinds are declared with `wire` on each field."""

    def to_json(self, where: str = "") -> dict[str, Any]:
        """Return the object as Grafana reads it.

        Args:
            where: Path of this object inside its frame, for error messages.

        Raises:
            FrameError: A value has a type that Grafana would refuse the whole answer for.
        """
        result: dict[str, Any] = {}
        for spec in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, spec.name)
            name, kind, always = spec.metadata["wire"]
            is_unset = value is None if spec.default is None else not value
            if always or not is_unset:
                result[name] = kind.write(value, join(where or type(self).__name__, name))
        return result

    @classmethod
    def from_json(cls, data: object, where: str = "") -> Self:
        """Read the object back; unknown keys are ignored, as Grafana does.

        Raises:
            FrameError: `data` is not an object, or a key has the wrong type.
        """
        where = where or cls.__name__
        if not isinstance(data, Mapping):
            raise wrong_type(where, data, "an object")
        known: dict[str, Any] = {}
        for spec in dataclasses.fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            name, kind, _ = spec.metadata["wire"]
            if name in data and (data[name] is not None or kind is THRESHOLD_VALUE):
                known[spec.name] = kind.read(data[name], join(where, name))
        return cls(**known)


def wire(name: str, kind: Kind, *, always: bool = False) -> Mapping[str, Any]:
    """Make the metadata that gives a dataclass field its JSON key.

    A field whose default is None is written when it is not None; any other is written when it is not empty
    (Go's `omitempty` on pointers and on values).

    Args:
        name: JSON key.
        kind: How the value is written and read.
        always: Write the key even when the value is empty.
    """
    return {"wire": (name, kind, always)}


def join(where: str, name: str) -> str:
    """Return the path of `name` inside `where`."""
    return f"{where}.{name}"


def wrong_type(where: str, value: object, wanted: str) -> FrameError:
    """Make the error for a value of the wrong type at `where`."""
    shown = repr(value)
    return FrameError(f"{where} is {shown[:60]} ({type(value).__name__}), but must be {wanted}.")


def plain_json(value: object, where: str) -> Any:
    """Copy a value into dicts, lists, strings, numbers, bools and None; NaN and infinities become None.

    Raises:
        FrameError: Something in it has no JSON form.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {_object_key(name, where): plain_json(item, join(where, str(name))) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise wrong_type(where, value, "something JSON can hold")


def _object_key(name: object, where: str) -> str:
    if not isinstance(name, str):
        raise wrong_type(f"a key of {where}", name, "a string")
    return name


def json_text(value: object, where: str) -> bytes:
    """Write a value as JSON text, compact UTF-8; NaN and infinities become null.

    Raises:
        FrameError: Something in it has no JSON form.
    """
    try:
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError):
            text = json.dumps(plain_json(value, where), ensure_ascii=False, separators=(",", ":"))
        return text.encode()
    except RecursionError:
        raise FrameError(f"{where} contains itself or is nested too deeply for JSON.") from None
    except UnicodeEncodeError as error:
        raise FrameError(f"{where} has a character that is no valid Unicode (half of a surrogate pair).") from error


def _checked(kind: type | tuple[type, ...], wanted: str) -> Kind:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise wrong_type(where, value, wanted)
        return value

    return Kind(check, check)


def whole(lowest: int, highest: int) -> Kind:
    """Accept a whole number between two bounds, both included."""

    def check(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral) or not lowest <= int(value) <= highest:
            raise wrong_type(where, value, f"a whole number from {lowest} to {highest}")
        return int(value)

    return Kind(check, check)


def _real(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong_type(where, value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise wrong_type(where, value, "a number that a double can hold") from None


def _finite(value: Any, where: str) -> float:
    number = _real(value, where)
    if not math.isfinite(number):
        raise wrong_type(where, value, "a finite number")
    return number


def _write_real(value: Any, where: str) -> float | None:
    number = _real(value, where)
    return number if math.isfinite(number) else None


def _read_threshold(value: Any, where: str) -> float:
    return -math.inf if value is None else _finite(value, where)


def listing(item: Kind) -> Kind:
    """Accept a list whose items are all of one kind."""

    def each(convert: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        def convert_list(value: Any, where: str) -> list[Any]:
            if not isinstance(value, list | tuple):
                raise wrong_type(where, value, "a list")
            return [convert(one, f"{where}[{index}]") for index, one in enumerate(value)]

        return convert_list

    return Kind(each(item.write), each(item.read))


def nested(cls: type[WireObject]) -> Kind:
    """Accept an object of a declared class."""

    def write(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, cls):
            raise wrong_type(where, value, f"a {cls.__name__}")
        return value.to_json(where)

    return Kind(write, cls.from_json)


def choice(*texts: str) -> Kind:
    """Accept one of a few strings."""

    def check(value: Any, where: str) -> str:
        if value not in texts:
            raise wrong_type(where, value, " or ".join(repr(text) for text in texts))
        return str(value)

    return Kind(check, check)


def _write_object(value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise wrong_type(where, value, "an object")
    return plain_json(value, where)


def _read_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise wrong_type(where, value, "an object")
    return dict(value)


TEXT = _checked(str, "a string")
FLAG = _checked(bool, "true or false")
NUMBER = Kind(_finite, _finite)
"""A number that JSON must be able to hold."""
REAL = Kind(_write_real, _finite)
"""A number whose NaN and infinities are written as null (Go SDK: ConfFloat64)."""
THRESHOLD_VALUE = Kind(_write_real, _read_threshold)
"""Like REAL, but null is read as minus infinity."""
ANYTHING = Kind(plain_json, lambda value, where: value)
OBJECT = Kind(_write_object, _read_object)
