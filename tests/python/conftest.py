"""What the tests share: where the built package and programs are, a running agent, fresh processes.

The package is looked for in ``FM_TEST_PYTHON_DIR`` (default ``target/python``, made by ``cargo xtask
python``), the programs in ``FM_TEST_BIN_DIR`` (default ``target/debug``). What is missing fails the tests
that need it; nothing is skipped.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE_DIR = Path(os.environ.get("FM_TEST_PYTHON_DIR", ROOT / "target/python")).resolve()
BIN_DIR = Path(os.environ.get("FM_TEST_BIN_DIR", ROOT / "target/debug")).resolve()

START_DEADLINE_S = 30
STOP_DEADLINE_S = 30

if not (PACKAGE_DIR / "fm_core.abi3.so").is_file():
    raise pytest.UsageError(
        f"no built package in {PACKAGE_DIR}: run `cargo xtask python` or set FM_TEST_PYTHON_DIR"
    )
sys.path.insert(0, str(PACKAGE_DIR))

# The client reads its environment once, so the socket of the tests' own agent is named before it is
# there. No test may reach an agent of this machine by accident, and a busy machine must not time writes out.
BASE = tempfile.TemporaryDirectory(prefix="fm-")
AGENT_SOCKET = Path(BASE.name) / "run/fm-agent.sock"
os.environ["FM_AGENT_SOCKET"] = str(AGENT_SOCKET)
os.environ["FM_API_TIMEOUT_MS"] = "20000"
os.environ["FM_API_READ_TIMEOUT_MS"] = "20000"

from fm_api import fm_api  # noqa: E402


@pytest.fixture(params=[fm_api.FaultAPIs, fm_api.FaultAPIsV2], ids=["V1", "V2"])
def api(request: pytest.FixtureRequest) -> fm_api.FaultAPIsBase:
    """Each of the two interfaces in turn."""
    made: fm_api.FaultAPIsBase = request.param()
    return made


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Takes the place of ``fm_core`` below ``fm_api``: a mock for each of its functions."""
    names = (
        "set_alarm set_alarms clear_alarm clear_alarms clear_all_alarms get_alarm "
        "list_by_entity list_by_id list_by_id_and_entity"
    ).split()
    double = SimpleNamespace(**{name: Mock(name=name) for name in names})
    monkeypatch.setattr(fm_api, "fm_core", double)
    return double


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Runs a program in a fresh interpreter that finds the package; returns what it prints."""

    def run(program: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(PACKAGE_DIR), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def mute_agent() -> Iterator[str]:
    """The path of a socket that takes connections and requests and never answers."""
    with tempfile.TemporaryDirectory(prefix="fm-") as directory:
        path = f"{directory}/mute.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(16)
            yield path


@pytest.fixture(scope="session")
def agent() -> Iterator[Path]:
    """The path of the socket of a real agent, standing alone, which the calls of this process reach."""
    with run_agent(AGENT_SOCKET, Path(BASE.name)) as path:
        yield path


@contextlib.contextmanager
def run_agent(path: Path, base: Path) -> Iterator[Path]:
    """A real agent, standing alone, at this socket, with its state and log in ``base``."""
    program = BIN_DIR / "fm-agent"
    if not os.access(program, os.X_OK):
        pytest.fail(f"{program} is missing: run `cargo build -p fm-agent` or set FM_TEST_BIN_DIR")
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FM_")}
    environment["FM_AGENT__AGENT__SOCKET"] = str(path)
    environment["FM_AGENT__AGENT__STATE_DIR"] = str(base / "state")
    log = base / "agent.log"
    with log.open("wb") as output:
        process = subprocess.Popen([program], env=environment, stdout=output, stderr=output)
    try:
        wait_until_listening(process, path, log)
        yield path
        assert process.poll() is None, f"the agent ended during the tests:\n{log.read_text()}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    assert process.returncode == 0, f"the agent did not end cleanly:\n{log.read_text()}"


def wait_until_listening(process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    """Returns when the socket takes connections; fails when the process ends or takes too long."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(path)) == 0:
                return
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the agent ended with {process.returncode}:\n{log.read_text()}")
    pytest.fail(f"the agent does not listen at {path} after {START_DEADLINE_S} s:\n{log.read_text()}")


_numbers = itertools.count(1)


@pytest.fixture
def alarm_id() -> str:
    """An alarm id that no other test uses."""
    return f"990.{next(_numbers):03}"


@pytest.fixture
def host() -> str:
    """An entity that no other test uses."""
    return f"host=node-{uuid.uuid4().hex}"
