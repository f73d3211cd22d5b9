"""Whether the kernel lets us in, and what the user is asked where it does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from debugtool import inject, system
from debugtool.model import Runtime
from debugtool.session.request import AttachRequest


@contextlib.contextmanager
def permission_for(request: AttachRequest) -> Iterator[None]:
    """Make sure that the kernel lets the chosen way in, for the length of the session.

    Raises:
        Refused: It does not, and the user did not say yes to lowering ptrace_scope; the message has a fix.
    """
    is_go = request.target.runtime is Runtime.GO
    if not is_go and not inject.choose_injectors(request.target, request.method)[0].needs_ptrace:
        yield
        return
    permission = system.examine(request.target.pid, name=request.target.name)
    with system.temporarily_relax_ptrace_scope(permission, ask=system.ask_on_terminal()) as relaxed:
        refusal = system.why_not(permission)
        if refusal is not None and not relaxed:
            raise (refusal.without_agent() if is_go else refusal).as_error()
        yield
