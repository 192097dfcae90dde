"""The installed agent, started as its unit says: directories, credentials, variables, user.

Invariants: it does what the unit names and nothing that it does not name; the process ends with the ``with``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from system import System, environment
from units import Unit

PATIENCE_S = 60


def wait_for(what: str, holds: Callable[[], object]) -> None:
    """Returns when ``holds`` does; fails with ``what`` when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


class Service:
    """The service fm-agent of a system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.unit = Unit(system.path("/lib/systemd/system/fm-agent.service"))
        self.user = self.unit.one("Service", "User")
        self.log = system.root.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        for place, kind in (("/run", "Runtime"), ("/var/lib", "State"), ("/var/log", "Logs")):
            name = self.unit.one("Service", f"{kind}Directory")
            mode = int(self.unit.one("Service", f"{kind}DirectoryMode"), 8)
            self._own(self.system.path(f"{place}/{name}"), mode)
        credentials = self._credentials()
        command = self.system.command(self.unit.one("Service", "ExecStart"), user=self.user)
        variables = {**self.unit.environment(), "CREDENTIALS_DIRECTORY": credentials}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment(variables), stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for("the agent to listen", self._answers)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        status = self._end()
        assert kind is not None or status == 0, f"the agent ended with {status}:\n{self.log.read_text()}"

    def _end(self) -> int:
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the agent ended by itself:\n{self.log.read_text()}"
        return self.system.run("fmctl", "status").returncode == 0

    def _own(self, directory: Path, mode: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(mode)
        shutil.chown(directory, *self.system.ids(self.user))

    def _credentials(self) -> str:
        """Secrets as the service manager hands them over: NAME_FILE in a directory of the service's own."""
        name, source = self.unit.one("Service", "LoadCredential").split(":")
        inside = "/run/credentials/fm-agent.service"
        directory = self.system.path(inside)
        shutil.rmtree(directory, ignore_errors=True)
        self._own(directory, 0o500)
        for file in self.system.path(source).iterdir():
            copy = directory / f"{name}_{file.name}"
            shutil.copyfile(file, copy)
            copy.chmod(0o400)
            shutil.chown(copy, *self.system.ids(self.user))
        return inside

    def status(self) -> dict[str, Any]:
        """What `fmctl status` says of each domain."""
        status = json.loads(self.system.succeed("fmctl", "--json", "status"))
        return {domain["name"]: domain for domain in status["domains"]}

    def doctor(self) -> tuple[int, list[dict[str, str]]]:
        """The exit status of `fmctl doctor`, and what has failed."""
        done = self.system.run("fmctl", "--json", "doctor")
        findings = json.loads(done.stdout)["findings"]
        return done.returncode, [finding for finding in findings if finding["level"] == "fail"]
