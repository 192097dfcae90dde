"""The units of systemd, the files for process monitors and the shell scripts, under the tools that judge them.

Each check is shown to find what it is for in a copy that has it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import helm
import pytest
from units import Unit

PACKAGING = helm.ROOT / "packaging"
SYSTEMD = PACKAGING / "systemd"
PMON = PACKAGING / "pmon"
PROGRAM = Path(os.environ["FM_TEST_BIN_DIR"]) / "fm-agent"
PATIENCE_S = 60
#: In tenths, as `systemd-analyze security` takes it: 1.5 is well below what it calls OK (less than 5).
MOST_EXPOSED = 15


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The units, with the built program in place of the installed one."""
    for unit in SYSTEMD.iterdir():
        text = unit.read_text().replace("ExecStart=/usr/bin/fm-agent", f"ExecStart={PROGRAM}")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def verify(units: Path) -> subprocess.CompletedProcess[str]:
    return run("systemd-analyze", "verify", "--man=no", *sorted(units.iterdir()))


def security(units: Path) -> subprocess.CompletedProcess[str]:
    options = ["--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager"]
    return run("systemd-analyze", "security", *options, units / "fm-agent.service")


def change(file: Path, pattern: str, into: str) -> None:
    """Changes what must be there."""
    text, number = re.subn(pattern, into, file.read_text(), flags=re.M)
    assert number, f"{pattern} is not in {file}"
    file.write_text(text)


def test_systemd_finds_nothing_to_complain_about(copies: Path) -> None:
    done = verify(copies)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("unit", "pattern", "into", "words"),
    [
        ("fm-agent.service", "^ProtectHome=.*", "ProtectHomes=yes", "ProtectHomes"),
        ("fm-agent.service", "^ExecStart=.*", "ExecStart=/nowhere/fm-agent", "/nowhere/fm-agent is not executable"),
        ("fm-agent.service", "^WatchdogSec=.*", "WatchdogSec=often", "often"),
        ("fm-agent.socket", "^SocketMode=.*", "SocketMode=0999", "0999"),
    ],
)
def test_it_would(copies: Path, unit: str, pattern: str, into: str, words: str) -> None:
    change(copies / unit, pattern, into)
    done = verify(copies)
    assert words in done.stderr, done.stderr


def test_the_service_is_hardened(copies: Path) -> None:
    done = security(copies)
    assert done.returncode == 0, done.stdout + done.stderr
    change(copies / "fm-agent.service", "^(User|Group|CapabilityBoundingSet|ProtectSystem|SystemCallFilter)=.*", "")
    assert security(copies).returncode != 0


def test_the_places_of_the_units_are_the_agents() -> None:
    service = Unit(SYSTEMD / "fm-agent.service")
    main, admin = (Unit(SYSTEMD / f"{name}.socket").one("Socket", "ListenStream") for name in ("fm-agent", "fm-agent-admin"))
    runtime = Path("/run", service.one("Service", "RuntimeDirectory"))
    state = Path("/var/lib", service.one("Service", "StateDirectory"))
    # That an agent without root's rights takes them is shown by tests/debian, in a system of its own.
    assert service.environment() == {"FM_AGENT_SOCKET": main, "XDG_STATE_HOME": str(state.parent)}
    assert state.name == "fm-agent" and Path(main).parent == runtime and admin == str(runtime / "admin.sock")
    manual = (PACKAGING / "man/fm-agent.8").read_text()
    assert main in manual and admin in manual and f"{state}/" in manual
    # Each file that a unit names lies in the package.
    (document,) = re.findall(r"file:///usr/share/doc/fm-agent/(\S+)", service.one("Unit", "Documentation"))
    assert (helm.ROOT / "docs" / document).is_file()
    for file in [PACKAGING / "config/fm-agent.toml", *sorted((PACKAGING / "examples").iterdir())]:
        for document in re.findall(r"/usr/share/doc/fm-agent/([\w.-]+\.md)", file.read_text()):
            assert (helm.ROOT / "docs" / document).is_file(), f"{file} names {document}"


def test_a_stop_is_given_longer_than_it_takes() -> None:
    operator = (helm.ROOT / "docs/operator.md").read_text()
    grace = re.search(r"^shutdown_grace_ms = (\d+)", operator, re.M)
    assert grace is not None
    assert int(Unit(SYSTEMD / "fm-agent.service").one("Service", "TimeoutStopSec")) * 1000 > int(grace[1])


def test_the_agent_takes_each_configuration(tmp_path: Path) -> None:
    files = [PACKAGING / "config/fm-agent.toml", *sorted((PACKAGING / "examples").iterdir())]
    for file in files:
        text = re.sub(r"/(etc/fm|run/credentials)/", f"{tmp_path}/\\1/", file.read_text())
        for secret in re.findall(r'_file = "([^"]+)"', text):
            Path(secret).parent.mkdir(parents=True, exist_ok=True)
            Path(secret).write_text("canary-5d20\n")
        copy = tmp_path / file.name
        copy.write_text(text)
        done = subprocess.run([PROGRAM, "--check-config", "--config", copy], capture_output=True, text=True, check=False, env={})
        assert (done.returncode, done.stderr) == (0, ""), file


def test_what_is_commented_out_can_be_used(tmp_path: Path) -> None:
    text = (PACKAGING / "config/fm-agent.toml").read_text()
    secret = tmp_path / "secret"
    secret.write_text("canary-5d20\n")
    used = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.M)
    used = re.sub(r'(password_file = )".*"', f'\\1"{secret}"', used)
    assert used != text
    (tmp_path / "fm-agent.toml").write_text(used)
    command = [PROGRAM, "--check-config", "--config", tmp_path / "fm-agent.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (0, ""), used


SCRIPTS = [PMON / "fm-agent.init", PACKAGING / "debian/fm-agent.postinst", PACKAGING / "debian/fm-agent.postrm", helm.ROOT / ".ci/run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts(script: Path, tmp_path: Path) -> None:
    done = run("shellcheck", script)
    assert (done.returncode, done.stdout) == (0, "")
    broken = tmp_path / script.name
    broken.write_text(script.read_text() + "\nrm -rf $1/*\n")
    assert run("shellcheck", broken).returncode != 0


def init_script(tmp_path: Path, argument: str, systemctl: str) -> tuple[int, str]:
    """The init script with a stand-in of systemctl, which notes what it is asked for."""
    stand_in = tmp_path / "systemctl"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{systemctl}\n')
    stand_in.chmod(0o755)
    asked = tmp_path / "asked"
    asked.unlink(missing_ok=True)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", PMON / "fm-agent.init", argument], env=environment, capture_output=True, check=False)
    return done.returncode, asked.read_text().strip() if asked.exists() else ""


def test_the_init_script_speaks_lsb(tmp_path: Path) -> None:
    header = re.search(r"^### BEGIN INIT INFO\n((?:#.*\n)+?)### END INIT INFO$", (PMON / "fm-agent.init").read_text(), re.M)
    assert header is not None
    keys = set(re.findall(r"^# ([A-Z][\w-]+):", header[1], re.M))
    assert keys >= {"Provides", "Required-Start", "Required-Stop", "Default-Start", "Default-Stop", "Short-Description"}
    for word in ("start", "stop", "restart", "reload"):
        assert init_script(tmp_path, word, "exit 0") == (0, f"{word} fm-agent.service")
        assert init_script(tmp_path, word, "exit 5")[0] == 5
    assert init_script(tmp_path, "force-reload", "exit 0") == (0, "reload fm-agent.service")
    assert init_script(tmp_path, "status", "exit 0") == (0, "is-active --quiet fm-agent.service")
    assert init_script(tmp_path, "status", "exit 1")[0] == 3
    assert init_script(tmp_path, "jump", "exit 0") == (2, "")


def test_the_process_monitor_and_systemd_agree(copies: Path) -> None:
    lines = [line.split(";")[0] for line in (PMON / "fm-agent.conf").read_text().splitlines()]
    assert "[process]" in [line.strip() for line in lines]
    keys = {key.strip(): value.strip() for key, found, value in (line.partition("=") for line in lines) if found}
    assert set(keys) >= {"process", "pidfile", "script", "style", "severity", "restarts", "interval", "debounce", "startuptime", "mode"}
    assert all(keys[name].isdigit() for name in ("restarts", "interval", "debounce", "startuptime", "quorum"))
    assert (keys["process"], keys["style"], keys["mode"]) == ("fm-agent", "lsb", "passive")
    drop_in = Unit(PMON / "pmon.conf")
    assert drop_in.one("Service", "Restart") == "no"
    assert all(keys["pidfile"] in drop_in.one("Service", key) for key in ("ExecStartPost", "ExecStopPost"))
    # systemd takes it, too.
    place = copies / "fm-agent.service.d"
    place.mkdir()
    shutil.copy(PMON / "pmon.conf", place)
    done = run("systemd-analyze", "verify", "--man=no", copies / "fm-agent.service")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    change(place / "pmon.conf", "^Restart=no", "Restarts=no")
    assert "Restarts" in run("systemd-analyze", "verify", "--man=no", copies / "fm-agent.service").stderr
