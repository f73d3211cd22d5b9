"""What frames import, seen in fresh interpreters: nothing heavy before the first frame, never pandas by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

HEAVY = "[name for name in ('numpy', 'pandas', 'pyarrow', 'pyarrow.compute') if name in sys.modules]"
BUILD = """
from debugtool.plugin.frames import Field, FieldConfig, Frame, FrameMeta, decode_frame, encode_frame, frame_to_json
from datetime import datetime
frame = Frame("f", [
    Field("t", [datetime(2020, 1, 1), None]), Field("i", [1, None]), Field("f", [0.5, float("nan")]),
    Field("s", ["a", None]), Field("b", [True, False]), Field("j", [{"a": 1}, [2]]),
    Field("e", ["on", "off"], {"l": "v"}, FieldConfig(unit="s"), type="enum"), Field("g", [1.5, None], type="float32"),
], meta=FrameMeta(type="table"))
"""
BLOCKER = """
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run(code: str) -> Any:
    """What a fresh interpreter prints, as JSON; warnings are errors there too."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import json, sys\n" + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_building_frames_imports_nothing_heavy() -> None:
    assert run(f"{BUILD}print(json.dumps({HEAVY}))") == []


def test_encoding_and_decoding_lists_imports_pyarrow_and_never_pandas_or_its_compute_module() -> None:
    loaded = run(f"{BUILD}decode_frame(encode_frame(frame))\nprint(json.dumps({HEAVY}))")

    assert "pyarrow" in loaded and not {"pandas", "pyarrow.compute"} & set(loaded)


def test_numpy_arrays_do_not_bring_pandas_in() -> None:
    code = "import numpy as np\nfrom debugtool.plugin.frames import encode_frame\n"
    code += "encode_frame({'a': np.array([1.5]), 't': np.array(['2020'], 'M8[s]'), 's': np.array(['x'])})\n"

    assert "pandas" not in run(f"{code}print(json.dumps({HEAVY}))")


def test_everything_works_without_numpy_and_pandas() -> None:
    result = run(
        f"{BLOCKER}{BUILD}print(json.dumps([frame_to_json(decode_frame(encode_frame(frame)))['data'], {HEAVY}]))"
    )

    assert result[0] == {
        "values": [
            [1577836800000, None],
            [1, None],
            [0.5, None],
            ["a", None],
            [True, False],
            [{"a": 1}, [2]],
            [0, 1],
            [1.5, None],
        ],
        "entities": [None, None, {"NaN": [1]}, None, None, None, None, None],
    }
    assert not {"numpy", "pandas"} & set(result[1])


def test_arrow_tables_work_without_numpy_and_pandas() -> None:
    code = f"""{BLOCKER}
import pyarrow as pa
from debugtool.plugin.frames import decode_frame, encode_frame
table = pa.table([pa.array([1], pa.timestamp("ms", "UTC")), pa.array(["a"]).dictionary_encode()], ["t", "s"])
print(json.dumps([field.values for field in decode_frame(encode_frame(table)).fields]))
"""
    assert run(code) == [[1_000_000], ["a"]]
