"""The image's recipe, as far as it can be judged without building it, and the example of a caller."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm
import kubernetes_validate
import pytest
import values
import yaml

CONTAINER = helm.ROOT / "packaging/container"
DOCKERFILE = CONTAINER / "Dockerfile"
EXAMPLE = helm.CHART / "examples/caller.yaml"
PROGRAMS = Path(os.environ["FM_TEST_BIN_DIR"])
PATIENCE_S = 30


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    """The linter, which lies beside this Python."""
    program = shutil.which("hadolint") or str(Path(sys.executable).parent / "hadolint")
    command = [program, "--failure-threshold", "style", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def instructions() -> list[str]:
    """The recipe's instructions, each on one line."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    done = hadolint(DOCKERFILE)
    assert done.returncode == 0, done.stdout + done.stderr
    # It would: a base without a version.
    other = tmp_path / "Dockerfile"
    other.write_text(re.sub(r"^FROM debian:\S+", "FROM debian", DOCKERFILE.read_text(), flags=re.M))
    assert "DL3006" in hadolint(other).stdout


def test_it_runs_as_a_user_without_rights_and_says_how_it_is(tmp_path: Path) -> None:
    lines = instructions()
    pod = helm.one(helm.render({}, tmp_path), "DaemonSet")["spec"]["template"]["spec"]
    user = pod["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in lines
    (health,) = [line for line in lines if line.startswith("HEALTHCHECK")]
    probe = pod["containers"][0]["livenessProbe"]["exec"]["command"]
    assert health.endswith(f'CMD {str(probe).replace(chr(39), chr(34))}')
    assert all(f"FM_AGENT_SOCKET={variable['value']}" in " ".join(lines) for variable in pod["containers"][0]["env"])
    assert not re.search(r"password|secret|token", DOCKERFILE.read_text(), re.I)


def test_the_build_gets_what_it_copies_and_no_history() -> None:
    ignored = (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored and ".git" not in kept and "target" not in kept
    assert all((helm.ROOT / name).exists() for name in kept)
    # Cargo reads the manifest of each member of the workspace.
    members = re.search(r"^members = \[(.*)\]", (helm.ROOT / "Cargo.toml").read_text(), re.M)
    assert members is not None
    assert {member.split("/")[0] for member in re.findall(r'"([^"]+)"', members[1])} <= kept


def test_the_programs_need_the_c_library_only() -> None:
    output = subprocess.run(["readelf", "--dynamic", PROGRAMS / "fm-agent"], capture_output=True, text=True, check=True)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output.stdout))
    assert "libc.so.6" in needed
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An agent with the chart's default configuration; the variables of its callers."""
    text = helm.one(helm.render({}, tmp_path), "ConfigMap")["data"]["fm-agent.toml"]
    file = tmp_path / "fm-agent.toml"
    file.write_text(text.replace("/run/fm", str(tmp_path / "run")).replace("/var/lib/fm-agent", str(tmp_path / "state")))
    process = subprocess.Popen([str(PROGRAMS / "fm-agent"), "--config", str(file)], env={}, stderr=subprocess.DEVNULL)
    socket = tmp_path / "run/fm-agent.sock"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not socket.exists():
            assert process.poll() is None and time.monotonic() < deadline, "the agent did not start"
            time.sleep(0.05)
        yield {"FM_AGENT_SOCKET": str(socket), "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "NODE_NAME": "node-1"}
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def alarms(variables: dict[str, str]) -> str:
    command = ["fmClientCli", "-A", "100.103"]
    program = str(PROGRAMS / command[0])
    return subprocess.run([program, *command[1:]], env=variables, capture_output=True, text=True, check=False).stdout


def test_the_socket_is_for_everybody(agent: dict[str, str]) -> None:
    assert Path(agent["FM_AGENT_SOCKET"]).stat().st_mode & 0o777 == int(values_mode(), 8)


def values_mode() -> str:
    return str(yaml.safe_load((helm.CHART / "values.yaml").read_text())["socket"]["mode"])


def test_the_example_raises_and_clears(agent: dict[str, str]) -> None:
    example: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    kubernetes_validate.validate(example, "1.35", strict=True)
    pod = example["spec"]["template"]["spec"]
    assert pod["volumes"][0]["hostPath"]["path"] == "/run/fm"
    command = pod["containers"][0]["command"]
    with subprocess.Popen(command, env=agent, start_new_session=True, stdout=subprocess.DEVNULL) as caller:
        deadline = time.monotonic() + PATIENCE_S
        while "host=node-1" not in alarms(agent):
            assert caller.poll() is None and time.monotonic() < deadline, "no alarm was raised"
            time.sleep(0.05)
        caller.terminate()
        assert caller.wait(PATIENCE_S) == 0
        # What the shell was waiting for ends with it in a pod; here it is in the session.
        os.killpg(caller.pid, signal.SIGKILL)
    assert alarms(agent) == "FM_ERR_ENTITY_NOT_FOUND\n"


def test_the_probe_tells_an_agent_that_answers(agent: dict[str, str], tmp_path: Path) -> None:
    pod = helm.one(helm.render(values.CASES["default"], tmp_path), "DaemonSet")["spec"]["template"]["spec"]
    name, *arguments = pod["containers"][0]["livenessProbe"]["exec"]["command"]
    command = [str(PROGRAMS / name), *arguments]
    assert subprocess.run(command, env=agent, check=False, timeout=PATIENCE_S).returncode == 0
    nobody = {**agent, "FM_AGENT_SOCKET": str(tmp_path / "nobody.sock")}
    assert subprocess.run(command, env=nobody, check=False, timeout=PATIENCE_S).returncode != 0
