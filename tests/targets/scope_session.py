"""A session that may lower ptrace_scope: asks on its terminal, says `relaxed` or `refused`, waits for a pipe's end.

Arguments: the pid to trace, the directory where guards remember the old value, the file descriptor to wait for, and the
user to become first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from debugtool.errors import DebugtoolError
from debugtool.output import error_text
from debugtool.system import ask_on_terminal, examine, temporarily_relax_ptrace_scope

pid, state_directory, pipe = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if len(sys.argv) > 4:
    uid = int(sys.argv[4])
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
try:
    with temporarily_relax_ptrace_scope(
        examine(pid), ask=ask_on_terminal(), state_directory=state_directory
    ) as relaxed:
        print("relaxed" if relaxed else "refused", flush=True)
        os.read(pipe, 1)
    print("ended", flush=True)
except DebugtoolError as error:
    print(error_text(error), flush=True)
