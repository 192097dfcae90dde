"""How the extension module is called: where, and how its failures are known.

Invariants:

- ``fm_core`` may be a stand-in that a test put into ``sys.modules``: nothing here needs it to be real.
- eventlet is never imported on its own account: only in a process that has imported it and patched the
  standard library does a call wait in a thread of its own.
- Nothing outlives a call but what it returns: no pool, no thread, no descriptor. So there is nothing that
  a forked child could share with its parent, and nothing that the end of the process waits for.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import fm_core

_T = TypeVar("_T")

_PATCHED_MODULES = ("os", "select", "socket", "thread", "time")

# Calls of greenthreads that wait at the same time; further ones take turns. Each holds a thread, two
# descriptors and a connection.
_AT_THE_SAME_TIME = 20

# The process and the semaphore it takes turns by: a child must not inherit turns that nobody gives back.
_turns: tuple[int, contextlib.AbstractContextManager[object]] | None = None


if TYPE_CHECKING:
    from fm_core import FmError as FmError
else:
    FmError = getattr(fm_core, "FmError", None)
    if not (isinstance(FmError, type) and issubclass(FmError, Exception)):

        class FmError(Exception):
            """Stands for the real one while ``fm_core`` is a stand-in. Nothing raises it."""


def call(function: Callable[..., _T], *arguments: object) -> _T:
    """Calls ``function``, so that the other greenthreads of an eventlet process go on meanwhile."""
    if _greenthreads_wait():
        return _call_in_thread(function, arguments)
    return function(*arguments)


def _greenthreads_wait() -> bool:
    """Whether a blocking call here stops other greenthreads, and waiting aside can prevent it."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None or not any(map(patcher.is_monkey_patched, _PATCHED_MODULES)):
        return False
    # Greenthreads run in the main thread. Another native thread holds up nobody but itself.
    if threading.get_native_id() != os.getpid():
        return False
    # The hub itself, as in a timer's callback, cannot wait for the hub.
    hub: Any = importlib.import_module("eventlet.hubs").get_hub()
    current: Any = importlib.import_module("greenlet").getcurrent()
    return hub.greenlet is not current


def _call_in_thread(function: Callable[..., _T], arguments: tuple[object, ...]) -> _T:
    """Calls in a native thread, while this greenthread waits in the hub."""
    original = importlib.import_module("eventlet.patcher").original
    hubs, sockets, threads = importlib.import_module("eventlet.hubs"), original("socket"), original("threading")
    answers: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(function(*arguments))
        except BaseException as error:
            errors.append(error)
        # A caller that left (a timeout, a kill) has closed its end and wants to hear nothing.
        with done, contextlib.suppress(OSError):
            done.send(b"\0", sockets.MSG_NOSIGNAL)

    with _turn():
        waiting, done = sockets.socketpair()
        with waiting:
            try:
                threads.Thread(target=work, name="fm_api", daemon=True).start()
            except RuntimeError:
                # No more threads, or the interpreter is ending: waiting here is better than no call.
                done.close()
                return function(*arguments)
            waiting.setblocking(False)
            heard = False
            while not heard:
                # A child that shares its parent's hub is woken by the parent's descriptors too.
                hubs.trampoline(waiting.fileno(), read=True)
                with contextlib.suppress(BlockingIOError):
                    waiting.recv(1)
                    heard = True
    if errors:
        raise errors[0]
    return answers[0]


def _turn() -> contextlib.AbstractContextManager[object]:
    global _turns
    if _turns is None or _turns[0] != os.getpid():
        semaphore = importlib.import_module("eventlet.semaphore").Semaphore(_AT_THE_SAME_TIME)
        _turns = (os.getpid(), semaphore)
    return _turns[1]
