"""How the extension module is called: where, and how its failures are known.

Invariants:

- ``fm_core`` may be a stand-in that a test put into ``sys.modules``: nothing here needs it to be real.
- eventlet is never imported on its own account: only a process that has imported it and patched the
  standard library gets its thread pool.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Callable, TypeVar

import fm_core

_T = TypeVar("_T")

_PATCHED_MODULES = ("os", "select", "socket", "thread", "time")

# Whether eventlet's pool lost its threads: a process that forks after the pool was started leaves the
# child a pool that takes work and never does it.
_pool_lost = False


if TYPE_CHECKING:
    from fm_core import FmError as FmError
else:
    FmError = getattr(fm_core, "FmError", None)
    if not (isinstance(FmError, type) and issubclass(FmError, Exception)):

        class FmError(Exception):
            """Stands for the real one while ``fm_core`` is a stand-in. Nothing raises it."""


def call(function: Callable[..., _T], *arguments: object) -> _T:
    """Calls ``function``, so that the other greenthreads of an eventlet process go on meanwhile."""
    if not _greenthreads_wait():
        return function(*arguments)
    pool = importlib.import_module("eventlet.tpool")
    answer: _T = pool.execute(function, *arguments)
    return answer


def _greenthreads_wait() -> bool:
    """Whether a blocking call here stops other greenthreads, and the pool can prevent it."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None or not any(map(patcher.is_monkey_patched, _PATCHED_MODULES)):
        return False
    # The pool answers through the main thread's hub. Another native thread holds up nobody but itself.
    return threading.get_native_id() == os.getpid() and not _pool_lost


def _after_fork() -> None:
    global _pool_lost
    pool = sys.modules.get("eventlet.tpool")
    if pool is not None and getattr(pool, "_setup_already", True):
        _pool_lost = True


os.register_at_fork(after_in_child=_after_fork)
