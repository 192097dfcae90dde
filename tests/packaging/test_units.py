"""The units of systemd, the files for process monitors and the shell scripts, under the tools that judge them.

Each check is shown to find what it is for in a copy that has it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
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


def test_nothing_is_given_up_for_good() -> None:
    service = Unit(SYSTEMD / "fm-agent.service")
    # With a limit, a state directory that is mounted ten seconds late leaves service and sockets failed until somebody comes.
    for name in ("fm-agent.service", "fm-agent.socket", "fm-agent-admin.socket"):
        assert Unit(SYSTEMD / name).one("Unit", "StartLimitIntervalSec") == "0", name
    # Callers who wait while the agent cannot start trigger the sockets again and again.
    for name in ("fm-agent.socket", "fm-agent-admin.socket"):
        assert Unit(SYSTEMD / name).one("Socket", "TriggerLimitIntervalSec") == "0", name
    # Without limits it is this pause that keeps them from starting the agent all the time: it holds as long as systemd is
    # going to start the service itself, whatever it ended with.
    assert service.one("Service", "Restart") == "always"
    assert int(service.one("Service", "RestartSec")) >= 1
    assert service.all("Service", "RestartPreventExitStatus") == []
    # Where it is not, there is another.
    assert re.search(r'\[ "\$SERVICE_RESULT" = success \] \|\| exec sleep [1-9]', Unit(PMON / "pmon.conf").one("Service", "ExecStopPost"))


def test_files_may_be_given_to_groups_and_to_nobody_else() -> None:
    service = Unit(SYSTEMD / "fm-agent.service")
    # agent.socket_group needs the call; without capabilities the system grants it for groups of the agent's own only.
    assert service.all("Service", "SystemCallFilter")[-1] == "@chown"
    assert service.one("Service", "CapabilityBoundingSet") == service.one("Service", "AmbientCapabilities") == ""


#: The units that have to end so that no caller starts the agent again.
ALL_UNITS = {"fm-agent.socket", "fm-agent-admin.socket", "fm-agent.service"}


def half_stopped(text: str) -> list[str]:
    """The commands in a text that stop the service and leave a socket that starts it again."""
    commands = re.findall(r"systemctl (?:--now )?(?:stop|disable|mask)(?: --now)?((?: [\w.-]+)+)", text)
    names = [{name if "." in name else f"{name}.service" for name in command.split()} for command in commands]
    return [" ".join(sorted(units)) for units in names if "fm-agent.service" in units and not units >= ALL_UNITS]


def test_who_is_told_to_stop_the_agent_is_told_to_stop_its_sockets() -> None:
    files = [*sorted((helm.ROOT / "docs").glob("*.md")), helm.ROOT / "README.md", PMON / "fm-agent.init"]
    texts = {file: re.sub(r"\s+", " ", file.read_text().replace('"$unit"', "fm-agent.service")) for file in files}
    assert {file: half_stopped(text) for file, text in texts.items() if half_stopped(text)} == {}
    stops = f"systemctl stop {' '.join(sorted(ALL_UNITS, reverse=True))}"
    assert sum("fm-agent-admin.socket" in text for text in texts.values()) >= 3, stops
    assert half_stopped("first `systemctl stop fm-agent`, then") == ["fm-agent.service"]
    assert half_stopped("systemctl disable --now fm-agent.socket fm-agent.service") != []


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


def serving(tmp_path: Path, example: str) -> subprocess.Popen[bytes]:
    """An agent of an example of the package, with its places below a directory; as another user where this one is root."""
    text = re.sub(r'"(unix:)?/(run|var|etc)/', rf'"\1{tmp_path}/\2/', (PACKAGING / "examples" / example).read_text())
    text = re.sub(r'"(?:0\.0\.0\.0:\d+|on)"', '"127.0.0.1:0"', text)
    for secret in re.findall(r'_file = "([^"]+)"', text):
        Path(secret).parent.mkdir(parents=True, exist_ok=True)
        Path(secret).write_text("canary-5d20\n")
    file = tmp_path / "fm-agent.toml"
    file.write_text(text)
    # Where a user who is not root may go and read.
    places = [tmp_path, *tmp_path.rglob("*"), *(parent for parent in tmp_path.parents if parent.owner() == tmp_path.owner())]
    for place in places:
        if place != Path("/"):
            place.chmod(place.stat().st_mode | (0o777 if place == tmp_path else 0o055))
    program = shutil.copy(PROGRAM, tmp_path / "fm-agent")
    user = {"user": 65532, "group": 65532, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {"FM_AGENT_SOCKET": str(tmp_path / "run/fm/fm-agent.sock"), "HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        return subprocess.Popen([program, "--config", file], env=environment, stderr=log, **user)


@pytest.mark.parametrize(("example", "socket"), [("pod.toml", "fm-agent.sock"), ("compute.toml", "metrics.sock")])
def test_the_sockets_of_the_examples_are_there_for_whom_they_say(tmp_path: Path, example: str, socket: str) -> None:
    agent = serving(tmp_path, example)
    try:
        path = tmp_path / "run/fm" / socket
        deadline = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert agent.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
        if example == "pod.toml":
            # Callers of a container that mounts the directory are other users.
            assert path.stat().st_mode & 0o006 == 0o006, oct(path.stat().st_mode)
        else:
            done = run("curl", "--silent", "--fail", "--unix-socket", path, "http://node/metrics")
            assert "fm_agent_" in done.stdout, done
    finally:
        agent.terminate()
        assert agent.wait(PATIENCE_S) == 0


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
    units = {"stop": "fm-agent.socket fm-agent-admin.socket fm-agent.service"}
    for word in ("start", "stop", "restart", "reload"):
        assert init_script(tmp_path, word, "exit 0") == (0, f"{word} {units.get(word, 'fm-agent.service')}")
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
