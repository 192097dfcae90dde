"""A node under test: a stand-in controller, an agent that delivers to it, callers of that agent."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callers import Caller

#: How long a test waits for what must come; a busy machine is slow, a fault is for ever.
PATIENCE_S = 60

_PASSWORD = "labrador"


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    """Returns when ``holds`` does; fails with ``what`` when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that this module started, and waits for it."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


class Controller:
    """The stand-in of a controller's fault service."""

    def __init__(self, programs: Path, base: Path) -> None:
        account = ["--username", "fm", "--password", _PASSWORD, "--project", "services", "--roles", "admin"]
        command = [str(programs / "fm-rest-sim"), "--database", str(base / "fm.db"), *account]
        with (base / "controller.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert ready, f"the controller ended:\n{(base / 'controller.log').read_text()}"
        addresses = json.loads(ready)
        self._control_url: str = addresses["control_url"]
        self.url: str = addresses["url"]
        self.keystone_url: str = addresses["keystone_url"]

    def control(self, method: str, path: str, body: object = None) -> Any:
        """One request to its control port."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._control_url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def fault(self, kind: str, **details: object) -> None:
        """Makes it fail until ``recover``."""
        self.control("POST", "/faults", {"kind": kind, **details})

    def recover(self) -> None:
        """Ends all its faults."""
        self.control("DELETE", "/faults")

    def entities(self) -> list[str]:
        """What alarms stand on, in the order of storing."""
        return [row["entity_instance_id"] for row in self.control("GET", "/alarms")]

    def stop(self) -> None:
        """Ends it."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        end(self._process)


class Node:
    """An agent whose platform domain is the controller; it can be ended and run again."""

    def __init__(self, programs: Path, package: Path, base: Path, controller: Controller) -> None:
        self._program, self._package, self._base = programs / "fm-agent", package, base
        self.controller = controller
        self.socket = base / "a.sock"
        self._callers: list[Caller] = []
        (base / "fm-agent.toml").write_text(
            f"[agent]\nsocket = '{self.socket}'\nstate_dir = '{base / 'state'}'\n"
            f"[platform.fm_rest_api]\nendpoint = '{controller.url}'\n"
            "connect_timeout_ms = 1000\nrequest_timeout_ms = 10000\n"
            f"[platform.fm_rest_api.keystone]\nauth_url = '{controller.keystone_url}'\n"
            f"username = 'fm'\npassword = '{_PASSWORD}'\n"
        )
        self.run()

    def run(self) -> None:
        """Starts the agent; returns when it answers."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("FM_")}
        with (self._base / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                [self._program, "--config", self._base / "fm-agent.toml"],
                env=environment,
                stdout=log,
                stderr=log,
            )
        caller = self.caller()
        wait_for("the agent to answer", lambda: self._answers(caller))

    def _answers(self, caller: Caller) -> bool:
        log = self._base / "agent.log"
        assert self._agent.poll() is None, f"the agent ended:\n{log.read_text()}"
        return caller.call("core", "ping").raised is None

    def end(self) -> None:
        """Ends the agent."""
        end(self._agent)

    def caller(self, **environment: str) -> Caller:
        """A process whose calls reach this node's agent; deadlines are long when none is named."""
        slow = {"FM_API_TIMEOUT_MS": "20000", "FM_API_READ_TIMEOUT_MS": "20000"}
        found = {"FM_AGENT_SOCKET": str(self.socket), **slow, **environment}
        caller = Caller(self._package, self._base / "caller.log", found)
        self._callers.append(caller)
        return caller

    def domain(self) -> dict[str, Any]:
        """How the agent finds its controller."""
        status = json.loads(self._callers[0].call("core", "status").value)
        [domain] = [domain for domain in status["domains"] if domain["name"] == "platform"]
        found: dict[str, Any] = domain
        return found

    def wait_delivered(self) -> None:
        """Returns when nothing waits for the controller any more."""
        wait_for("everything to be delivered", lambda: self.domain()["waiting"] == 0)

    def wait_down(self) -> None:
        """Returns when the agent counts its controller as down."""
        wait_for("the controller to count as down", lambda: self.domain()["state"] == "down")

    def stop(self) -> None:
        """Ends the agent, unless it has ended, and the callers."""
        if self._agent.poll() is None:
            self.end()
        for caller in self._callers:
            caller.stop()
