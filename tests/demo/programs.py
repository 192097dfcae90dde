"""The programs of the demo: started on free loopback ports, stopped by their own process id.

Invariants:

- A program that was started is stopped when its ``with`` ends, however it ends; the kernel kills it should the
  demo itself be killed.
- A controller keeps its ports while it is away: sockets that are bound and never listen hold the numbers, so a
  connection is refused and nobody else gets them.
- Everything they write is below the demo's directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_LIMIT_S = 30
STOP_LIMIT_S = 15

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """The demo cannot go on; the text says why."""


def _die_with_the_demo() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def environment() -> dict[str, str]:
    """This process's, without what would lead a program of the demo elsewhere."""
    return {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("FM_") and not name.lower().endswith("_proxy")
    }


class Program:
    """One program, started and stopped any number of times; its output is appended to a log."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name, self.command, self.log = name, command, log.resolve()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=_die_with_the_demo,
            )

    def check(self) -> None:
        """Fails when it has ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise Failed(f"{self.name} ended with status {self.process.returncode}; its log is {self.log}")

    def kill(self) -> None:
        """Ends it at once, as a power cut would."""
        self.check()
        if self.process is not None:
            self.process.kill()
        self._reap(STOP_LIMIT_S)

    def stop(self) -> int | None:
        """Ends it in good order and returns its exit status; without a word if it does not run."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self._reap(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self._reap(STOP_LIMIT_S)
            raise Failed(f"{self.name} did not stop within {STOP_LIMIT_S} s; its log is {self.log}") from None

    def _reap(self, limit_s: float) -> int | None:
        if self.process is None:
            return None
        status = self.process.wait(limit_s)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return status

    def first_line(self) -> bytes:
        """What it prints when it is ready."""
        stdout = self.process.stdout if self.process else None
        if stdout is None:
            raise Failed(f"{self.name} is not started")
        deadline, line = time.monotonic() + START_LIMIT_S, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.check()
                raise Failed(f"{self.name} is not ready after {START_LIMIT_S} s; its log is {self.log}")
            line += piece
        return line


@dataclass(frozen=True)
class Account:
    """What the agent proves itself with at one controller."""

    username: str
    password: str
    project: str


class Controller(Program):
    """A stand-in of fm-rest-api with its own Keystone, account and database."""

    def __init__(self, program: Path, domain: str, dialect: str, project: str, directory: Path) -> None:
        self.domain, self.dialect = domain, dialect
        self.database = directory / f"{domain}.db"
        self.account = Account(f"fm-{domain}", secrets.token_hex(16), project)
        self._reservations = [_reserve(), _reserve()]
        self.address, keystone = (f"127.0.0.1:{held.getsockname()[1]}" for held in self._reservations)
        self.keystone_url = f"http://{keystone}/v3"
        options = {
            "listen": self.address,
            "keystone-listen": keystone,
            "database": str(self.database),
            "dialect": dialect,
            "username": self.account.username,
            "password": self.account.password,
            "project": project,
        }
        command = [str(program), *(f"--{name}={text}" for name, text in options.items())]
        super().__init__(f"the {domain} controller", command, directory / f"{domain}.log")

    def start(self) -> None:
        super().start()
        json.loads(self.first_line())

    def close(self) -> None:
        for held in self._reservations:
            held.close()


def _reserve() -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


class Agent(Program):
    """The agent, with a controller for each domain. Paths are from the working directory."""

    def __init__(self, program: Path, socket_path: Path, state: Path, controllers: list[Controller]) -> None:
        self.socket_path, self.store = socket_path, state / "fm-agent.db"
        config = Path("fm-agent.toml")
        config.touch(mode=0o600)
        config.write_text(_configuration(socket_path, state, controllers), encoding="utf-8")
        super().__init__("fm-agent", [str(program), "--config", str(config)], Path("fm-agent.log"))

    def start(self) -> None:
        super().start()
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex(str(self.socket_path)) == 0:
                    return
            self.check()
            time.sleep(0.02)
        raise Failed(f"{self.name} does not listen after {START_LIMIT_S} s; its log is {self.log}")


def _configuration(socket_path: Path, state: Path, controllers: list[Controller]) -> str:
    text = f'[agent]\nsocket = "{socket_path}"\nstate_dir = "{state}"\n'
    for controller in controllers:
        account = controller.account
        # No endpoint: the agent finds the service in the catalogue of that Keystone.
        text += (
            f"\n[{controller.domain}.fm_rest_api.keystone]\n"
            f'auth_url = "{controller.keystone_url}"\nusername = "{account.username}"\n'
            f'password = "{account.password}"\nproject_name = "{account.project}"\n'
        )
    return text


@contextlib.contextmanager
def running(program: Program) -> Iterator[None]:
    """Starts a program and stops it at the end, whatever happens in between."""
    try:
        program.start()
        yield
    finally:
        program.stop()
        if isinstance(program, Controller):
            program.close()


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    try:
        with log.open("rb") as file:
            return _last_lines(file, lines)
    except FileNotFoundError:
        return ""


def _last_lines(file: IO[bytes], lines: int) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
    return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
