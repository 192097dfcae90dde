"""A caller in a process of its own, which does the calls that a test tells it to.

The client reads its environment once, so each agent and each deadline needs its own process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple


class Outcome(NamedTuple):
    """What a call did: its value, or what it raised."""

    value: Any
    #: The exception's name and text, and the error's name.
    raised: tuple[str, str, str] | None
    seconds: float


class Caller:
    """Runs ``serve`` in a fresh interpreter."""

    def __init__(self, package: Path, log: Path, environment: dict[str, str]) -> None:
        path = os.pathsep.join([str(package), str(Path(__file__).parent)])
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "import callers; callers.serve()"],
                env={**os.environ, **environment, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def call(self, interface: str, method: str, *arguments: Any) -> Outcome:
        """Does ``method`` of 'V1', 'V2' or 'core' (the extension module)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((interface, method, arguments), self._process.stdin)
        self._process.stdin.flush()
        outcome: Outcome = pickle.load(self._process.stdout)
        return outcome

    def stop(self) -> None:
        """Ends the process; it must end by itself once nobody tells it anything."""
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0, f"the caller ended with {self._process.returncode}"


def serve() -> None:
    """Does what it is told on standard input until that ends; failures are logged on standard error."""
    import logging

    import fm_core
    from fm_api import fm_api

    logging.basicConfig(level=logging.DEBUG)
    commands: BinaryIO = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    targets = {"V1": fm_api.FaultAPIs(), "V2": fm_api.FaultAPIsV2(), "core": fm_core}
    while True:
        try:
            interface, method, arguments = pickle.load(commands)
        except EOFError:
            return
        started = time.monotonic()
        value, raised = None, None
        try:
            value = getattr(targets[interface], method)(*arguments)
        except fm_api.APIException as error:
            raised = ("APIException", str(error), error.code)
        except fm_core.FmError as error:
            raised = ("FmError", str(error), error.code)
        pickle.dump(Outcome(value, raised, time.monotonic() - started), answers)
        answers.flush()
