"""Generated launch.json files: our entry arrives, and no byte that is not ours changes."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from debugtool.editors.entries import PathMapping, debugpy_entry
from debugtool.editors.jsonc import Node, parse
from debugtool.editors.launch_json import merge_entry

NAME = "Debug backend plugin"
WORKSPACE = "${workspaceFolder}"

Rendered = tuple[str, Any]  # a text, and the value it stands for


class Pen:
    """Writes values with blanks and comments in every place that allows them."""

    def __init__(self, draw: st.DrawFn, newline: str) -> None:
        self.draw = draw
        self.newline = newline
        self.comments = 0

    def noise(self) -> str:
        parts = []
        kinds = st.sampled_from(["", " ", "\t", "  ", "nl", "line", "block", "lines"])
        for kind in self.draw(st.lists(kinds, max_size=3)):
            self.comments += 1
            mark = f'#{self.comments}# {{"name": "{NAME}"}}, ]'
            parts.append(
                {
                    "nl": self.newline,
                    "line": f"// {mark} é{self.newline}",
                    "block": f"/* {mark} **/",
                    "lines": f"/* {mark}{self.newline} \t* x */",
                }.get(kind, kind)
            )
        return "".join(parts)

    def brackets(self, parts: list[str], opening: str, closing: str) -> str:
        body = ",".join(f"{self.noise()}{part}{self.noise()}" for part in parts)
        trailing = "," + self.noise() if bool(parts) and self.draw(st.booleans()) else ""
        return opening + (body or self.noise()) + trailing + closing

    def value(self, value: object) -> str:
        if isinstance(value, dict):
            return self.object(list(value.items()))
        if isinstance(value, list):
            return self.brackets([self.value(item) for item in value], "[", "]")
        return json.dumps(value, ensure_ascii=self.draw(st.booleans()))

    def object(self, members: list[tuple[str, object]]) -> str:
        return self.brackets(
            [f"{json.dumps(key)}{self.noise()}:{self.noise()}{self.value(value)}" for key, value in members], "{", "}"
        )


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([NAME, f"// {NAME}", "/* x */", '"configurations": [', "\\", "\U0001f41b", "é\u2028"])
)
KEYS = st.text(max_size=5) | st.sampled_from(["inputs", "compounds", "version", "env", "args"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
MAPPINGS = st.lists(
    st.fixed_dictionaries(
        {"localRoot": st.sampled_from([WORKSPACE, f"{WORKSPACE}/lib", "/opt/lib"])},
        optional={"remoteRoot": st.sampled_from(["/app", "/srv", WORKSPACE]), "note": SCALARS},
    )
    | st.none(),
    max_size=3,
)
OURS = st.fixed_dictionaries(
    {"name": st.just(NAME)},
    optional={
        "type": st.sampled_from(["debugpy", "python", 7]),
        "request": st.sampled_from(["attach", "launch"]),
        "connect": st.dictionaries(st.sampled_from(["host", "port", "x"]), SCALARS, max_size=3) | st.none(),
        "pathMappings": MAPPINGS | st.just("none"),
        "justMyCode": st.booleans(),
        "preLaunchTask": st.text(max_size=5),
        "env": st.dictionaries(KEYS, JSON, max_size=2),
    },
)
# Another configuration may hold anything, one like ours at a deeper place too.
OTHERS = st.dictionaries(KEYS | st.just("name"), JSON | OURS, max_size=3).filter(lambda item: item.get("name") != NAME)
ENTRIES = st.builds(
    debugpy_entry,
    port=st.sampled_from([3222, 4000]),
    mappings=st.sampled_from(
        [
            [],
            [PathMapping(WORKSPACE, "/app")],
            [PathMapping(f"{WORKSPACE}/lib", "/usr/lib/é"), PathMapping(WORKSPACE, "/")],
        ]
    ),
)


@st.composite
def documents(draw: st.DrawFn, configurations: st.SearchStrategy[list[Any]] | None) -> Rendered:
    pen = Pen(draw, draw(st.sampled_from(["\n", "\r\n", "\r"])))
    members: list[tuple[str, object]] = list(draw(st.dictionaries(KEYS, JSON, max_size=3)).items())
    if configurations is not None:
        if draw(st.integers(0, 3)) == 0:  # of two members of one name VS Code takes the last
            members.insert(0, ("configurations", draw(JSON)))
        after = [index for index, member in enumerate(members) if member[0] == "configurations"]
        place = draw(st.integers(after[0] + 1 if after else 0, len(members)))
        members.insert(place, ("configurations", draw(configurations)))
    text = pen.noise() + pen.object(members) + pen.noise()
    return draw(st.sampled_from(["", "\ufeff"])) + text, dict(members)


WITHOUT_OURS = st.lists(OTHERS | SCALARS, max_size=3)
WITH_OURS = st.tuples(st.lists(OTHERS | SCALARS, max_size=2), OURS, st.lists(OTHERS | OURS, max_size=2)).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)


def strip_comments(text: str) -> str:
    """Make plain JSON of it, by other means than the code under test: one regular expression over all tokens."""
    # Possessive and atomic, so that no comment is read as a shorter one.
    blank = r"(?:\s|//[^\r\n]*+|(?>/\*.*?\*/))*+"
    token = re.compile(r'"(?:\\.|[^"\\])*"|//[^\r\n]*|/\*.*?\*/|,(?=' + blank + r"[\]}])", re.DOTALL)
    return token.sub(lambda match: match[0] if match[0].startswith('"') else " ", text.removeprefix("\ufeff"))


def load(text: str) -> Any:
    return json.loads(strip_comments(text), strict=False)


def expected_update(ours: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """Say what becomes of a configuration of our name, in plain dictionaries."""
    entry = copy.deepcopy(entry)
    if isinstance(ours.get("connect"), dict):
        entry["connect"] = {**ours["connect"], **entry["connect"]}
    if isinstance(ours.get("pathMappings"), list):
        kept = copy.deepcopy(ours["pathMappings"])
        roots = {mapping["localRoot"]: mapping for mapping in entry["pathMappings"]}
        for mapping in kept:
            if mapping and mapping["localRoot"] in roots:
                mapping.update(roots[mapping["localRoot"]])
            elif mapping and mapping["localRoot"] == WORKSPACE:
                mapping["remoteRoot"] = WORKSPACE
        there = [mapping["localRoot"] for mapping in kept if mapping]
        entry["pathMappings"] = kept + [mapping for root, mapping in roots.items() if root not in there]
    return {**ours, **entry, "justMyCode": ours.get("justMyCode", entry["justMyCode"])}


def merge(text: str, entry: dict[str, object]) -> str:
    after = merge_entry(text.encode("utf-8"), entry)
    assert merge_entry(after, entry) == after, "a second run changes nothing"
    return after.decode("utf-8")


def node_of_ours(text: str) -> Node:
    root = parse(text)
    assert root is not None
    configurations = root.get("configurations")
    assert configurations is not None
    return next(
        item for item in configurations.items if isinstance(item.value, dict) and item.value.get("name") == NAME
    )


def is_subsequence(part: str, whole: str) -> bool:
    characters = iter(whole)
    return all(character in characters for character in part)


def without_blanks(text: str) -> str:
    return re.sub(r"[ \t\r\n]", "", text)


@given(documents(WITHOUT_OURS | WITH_OURS) | documents(None))
@settings(max_examples=100, deadline=None)
def test_reads_what_was_written(document: Rendered) -> None:
    text, value = document
    root = parse(text)
    assert root is not None
    assert root.value == value
    assert load(text) == value


@given(documents(WITHOUT_OURS), ENTRIES)
@settings(max_examples=100, deadline=None)
def test_a_new_entry_only_adds(document: Rendered, entry: dict[str, object]) -> None:
    text, value = document
    result = merge(text, entry)
    assert load(result) == {**value, "configurations": [*value["configurations"], entry]}
    assert is_subsequence(text, result)
    ours = node_of_ours(result)
    outside, original = without_blanks(result[: ours.start] + result[ours.end :]), without_blanks(text)
    places = [match.start() for match in re.finditer(",", outside)]
    assert outside == original or original in {outside[:place] + outside[place + 1 :] for place in places}


@given(documents(None), ENTRIES)
@settings(max_examples=100, deadline=None)
def test_a_file_without_configurations_gets_them(document: Rendered, entry: dict[str, object]) -> None:
    text, value = document
    result = merge(text, entry)
    assert load(result) == {**value, "configurations": [entry]}
    assert is_subsequence(text, result)


@given(documents(WITH_OURS), ENTRIES)
@settings(max_examples=100, deadline=None)
def test_an_entry_of_our_name_is_brought_up_to_date(document: Rendered, entry: dict[str, object]) -> None:
    text, value = document
    result = merge(text, entry)
    before, after = node_of_ours(text), node_of_ours(result)
    assert result[: after.start] == text[: before.start]
    assert result[after.end :] == text[before.end :]
    expected = copy.deepcopy(value)
    index = next(
        i for i, item in enumerate(expected["configurations"]) if isinstance(item, dict) and item.get("name") == NAME
    )
    expected["configurations"][index] = expected_update(expected["configurations"][index], entry)
    assert load(result) == expected
    assert re.findall(r"#\d+#", result) == re.findall(r"#\d+#", text), "every comment is still there, in its order"


@given(documents(WITH_OURS), st.data())
@settings(max_examples=100, deadline=None)
def test_text_with_a_piece_missing_never_ends_in_anything_but_a_clear_answer(
    document: Rendered, data: st.DataObject
) -> None:
    text, _ = document
    start = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:start] + text[start + data.draw(st.integers(1, 3)) :]
    entry = debugpy_entry()
    try:
        result = merge_entry(damaged.encode("utf-8"), entry)
    except ValueError as error:
        assert str(error)
    else:
        assert any(
            isinstance(item, dict) and item.get("name") == NAME
            for item in load(result.decode("utf-8"))["configurations"]
        )
