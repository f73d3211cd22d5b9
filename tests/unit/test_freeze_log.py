"""The one line of PyInstaller's log that says why it failed."""

from __future__ import annotations

import pytest

from debugtool.builds.freeze import first_error

ERROR = """\
59 INFO: PyInstaller: 6.22.3, contrib hooks: 2026.9
243 ERROR: Python shared library not found!
250 ERROR: something that follows from it
"""
EXIT = """\
59 INFO: PyInstaller: 6.22.3, contrib hooks: 2026.9
ERROR: script '/project/launcher.py' not found
"""
SYNTAX = """\
59 INFO: PyInstaller: 6.22.3, contrib hooks: 2026.9
Traceback (most recent call last):
  File "/lib/PyInstaller/building/utils.py", line 688, in compile_pymodule
    code_object = compile(src_data, src_path, 'exec', optimize=optimize)
  File "/project/backend/shop/__init__.py", line 2
    def wrong(:
              ^
SyntaxError: invalid syntax
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "/lib/PyInstaller/building/api.py", line 1, in assemble
    shutil.copyfile(src_name, dest_path)
OSError: [Errno 28] No space left on device
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (ERROR, "Python shared library not found!"),
        (EXIT, "script '/project/launcher.py' not found"),
        (SYNTAX, "/project/backend/shop/__init__.py, line 2: SyntaxError: invalid syntax"),
        (TRACEBACK, "OSError: [Errno 28] No space left on device"),
        ("", "It said nothing."),
    ],
    ids=["error", "exit", "syntax", "traceback", "silence"],
)
def test_the_first_error_that_matters(log: str, words: str) -> None:
    assert first_error(log.splitlines()) == words
