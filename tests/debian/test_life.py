"""The packages in the life of a node: installed, used, configured by a new operator, upgraded, removed, purged.

The tests follow each other in one system.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import conftest
import counting
import packages
import programs
import pytest
import system
from programs import Controller
from service import Service, wait_for
from system import System

STATE = "/var/lib/fm-agent"
CONFIGURATION = "/etc/fm/fm-agent.toml"
ALARM = ("100.103", "host=compute-1")


@pytest.fixture(scope="module")
def host() -> System:
    """A system without the packages."""
    return system.copy(conftest.DIRECTORY, "life")


@pytest.fixture(scope="module")
def controllers(host: System) -> Iterator[dict[str, Controller]]:
    """A stand-in controller for each domain, on this machine's loopback, which is the system's too."""
    directory = conftest.DIRECTORY / "controllers"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    program = conftest.PROGRAMS / "fm-rest-sim"
    with contextlib.ExitStack() as stack:
        made = {
            "platform": Controller(program, "platform", "postgresql", "services", directory),
            "openstack": Controller(program, "openstack", "mariadb", "admin", directory),
        }
        for controller in made.values():
            stack.enter_context(programs.running(controller))
        yield made


def standing(controller: Controller) -> set[tuple[str, str]]:
    """The alarms in a controller's database."""
    return {(alarm.alarm_id, alarm.entity_instance_id) for alarm in counting.alarms(controller.database)}


def test_they_are_installed(host: System) -> None:
    host.install(packages.files())
    assert host.succeed("dpkg", "--verify") == ""
    uid, gid = host.ids("fm-agent")
    assert 0 < uid < 1000 and host.succeed("id", "--group", "--name", "fm-agent").strip() == "fm-agent"
    configuration = host.path(CONFIGURATION).stat()
    assert (stat.S_IMODE(configuration.st_mode), configuration.st_uid, configuration.st_gid) == (0o640, 0, gid)
    credentials = host.path("/etc/fm/credentials").stat()
    assert (stat.S_IMODE(credentials.st_mode), credentials.st_uid) == (0o700, 0)
    # For the next start of the machine.
    for unit in ("fm-agent.service", "fm-agent.socket", "fm-agent-admin.socket"):
        assert host.succeed("systemctl", "is-enabled", unit).strip() == "enabled"
    host.succeed("fmctl", "check-config")


def test_rotation_is_taken(host: System) -> None:
    done = host.run("logrotate", "--debug", "/etc/logrotate.d/fm-agent")
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr
    host.path("/tmp/wrong").write_text(host.path("/etc/logrotate.d/fm-agent").read_text().replace("weekly", "weakly"))
    assert "weakly" in host.run("logrotate", "--debug", "/tmp/wrong").stderr


def test_without_configuration_it_serves_everybody(host: System) -> None:
    with Service(host) as service:
        run = host.path("/run/fm")
        assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.iterdir()} == {
            "fm-agent.sock": 0o666,
            "admin.sock": 0o660,
        }
        assert stat.S_IMODE(host.path(STATE).stat().st_mode) == 0o700
        assert host.path(f"{STATE}/fm-agent.db").stat().st_uid == host.ids("fm-agent")[0]
        assert {domain["backend"] for domain in service.status().values()} == {"standalone"}
        host.succeed("fmctl", "set", *ALARM, "--severity", "major", user="nobody")
        assert ALARM[1] in host.succeed("fmClientCli", "-A", ALARM[0], user="nobody")
        host.succeed("fmctl", "clear", *ALARM, user="nobody")
        status, failed = service.doctor()
        assert (status, failed) == (0, [])
    status, failed = service.doctor()
    assert status == 1 and {finding["check"] for finding in failed} == {"socket"}


def test_python(host: System) -> None:
    program = """if True:
        import importlib.metadata
        from fm_api import constants, fm_api
        fault = fm_api.Fault(alarm_id="100.103", alarm_state=constants.FM_ALARM_STATE_SET,
            entity_type_id="host", entity_instance_id="host=python", severity="major", reason_text="from Python",
            alarm_type="operational-violation", probable_cause="threshold-crossed",
            proposed_repair_action="", service_affecting=False)
        api = fm_api.FaultAPIsV2()
        uuid = api.set_fault(fault)
        assert api.get_fault("100.103", "host=python").uuid == uuid
        assert api.clear_fault("100.103", "host=python")
        print(importlib.metadata.version("fm-api"), fm_api.__cached__)
    """
    with Service(host):
        version, compiled = host.succeed("python3", "-c", program, user="nobody").split()
    assert version == packages.field(packages.files()[0], "Version").split(":")[1].split("-")[0]
    assert host.path(compiled).is_file()


def test_c(host: System, tmp_path: Path) -> None:
    """The guide's first program, compiled on this machine against what the packages have installed."""
    guide = (packages.ROOT / "docs/c.md").read_text()
    source = re.search(r"^```c \S+\n(.*?)^```", guide, re.M | re.S)
    assert source is not None
    (tmp_path / "raise.c").write_text(source[1])
    include, library = host.path("/usr/include"), host.path(f"/usr/lib/{packages.multiarch()}")
    variables = {**system.environment({}), "PKG_CONFIG_LIBDIR": str(library / "pkgconfig")}

    def asked(*what: str) -> str:
        return system.run(["pkg-config", *what, "libfmcommon"], env=variables).stdout.strip()

    assert (asked("--variable=includedir"), asked("--variable=libdir")) == ("/usr/include", f"/usr/lib/{packages.multiarch()}")
    program = tmp_path / "raise"
    places = ["-I", str(include), "-L", str(library), "-o", str(program)]
    system.run(["cc", "-Wall", "-Werror", str(tmp_path / "raise.c"), *places, *asked("--cflags", "--libs").split()])
    shutil.copy(program, host.path("/tmp/raise"))
    with Service(host):
        said = host.succeed("/tmp/raise", user="nobody").splitlines()
    assert said[:4] == ["set: done", "get: done", "the process has failed", "clear: done"]


def test_the_demo(host: System) -> None:
    place = host.path("/srv/demo")
    shutil.copytree(packages.ROOT / "tests/demo", place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(conftest.PROGRAMS / "fm-rest-sim", place)
    shutil.copy(packages.ROOT / "fm-common/data/alarm_catalogue.csv", place)
    arguments = ["--agent=/usr/bin/fm-agent", "--controller=/srv/demo/fm-rest-sim"]
    arguments += ["--catalogue=/srv/demo/alarm_catalogue.csv", "--directory=/srv/demo/run"]
    last = host.succeed("python3", "/srv/demo/demo.py", *arguments).splitlines()[-1]
    assert last.startswith("demo ok: ") and last.endswith("lost 0 doubled 0"), last


def configure(host: System, controllers: dict[str, Controller]) -> str:
    """What the guide tells a new operator to do: secrets into files, the tables into the configuration."""
    for domain, controller in controllers.items():
        secret = host.path(f"/etc/fm/credentials/{domain}")
        secret.touch(mode=0o600)
        secret.write_text(controller.account.password + "\n")
    text = host.path(CONFIGURATION).read_text()
    table = re.search(r"^# \[platform\.fm_rest_api\.keystone\]\n(# .*\n)+", text, re.M)
    assert table is not None
    used = re.sub("^# ", "", table[0], flags=re.M)
    tables = ""
    for domain, controller in controllers.items():
        own = used.replace("[platform.", f"[{domain}.").replace("fm-agent_platform", f"fm-agent_{domain}")
        given = {"auth_url": controller.keystone_url, "username": controller.account.username, "project_name": controller.account.project}
        for key, value in given.items():
            own = re.sub(rf'^{key} = ".*"', f'{key} = "{value}"', own, flags=re.M)
        tables += own + "\n"
    changed = text.replace(table[0], tables)
    # As an editor does that keeps owner and mode.
    host.path(CONFIGURATION).write_text(changed)
    return changed


def test_a_new_operator(host: System, controllers: dict[str, Controller]) -> None:
    configure(host, controllers)
    platform, openstack = controllers["platform"], controllers["openstack"]
    instance = ("700.001", "tenant=t.instance=i")
    with Service(host) as service:
        host.succeed("fmctl", "check-config")
        host.succeed("fmctl", "set", *ALARM, "--severity", "major")
        host.succeed("fmctl", "set", *instance)
        wait_for("both alarms to arrive", lambda: ALARM in standing(platform) and instance in standing(openstack))
        assert {name: domain["state"] for name, domain in service.status().items()} == {"platform": "up", "openstack": "up"}
        status, failed = service.doctor()
        assert (status, failed) == (0, [])

        platform.kill()
        second = ("100.101", "host=compute-1")
        host.succeed("fmctl", "set", *second, "--severity", "major")
        host.succeed("fmctl", "clear", *instance)
        wait_for("the status to say that it is down", lambda: service.status()["platform"]["state"] == "down")
        domains = service.status()
        assert domains["platform"]["waiting"] == 1 and domains["platform"]["reason"]
        wait_for("the other one to go on", lambda: instance not in standing(openstack))
        assert service.status()["openstack"]["state"] == "up"
        status, failed = service.doctor()
        assert status == 1 and "port" in {finding["check"] for finding in failed}, failed
        assert all(openstack.address not in finding["looked_at"] and finding["advice"] for finding in failed), failed
        assert host.run("fmctl", "flush", "--wait=1").returncode == 1

        platform.start()
        host.succeed("fmctl", "flush", "--wait=60")
        assert standing(platform) == {ALARM, second}
        wait_for("the status to say that it is up", lambda: service.status()["platform"]["state"] == "up")
        assert service.status()["platform"]["waiting"] == 0
        status, failed = service.doctor()
        assert (status, failed) == (0, [])
    assert platform.account.password not in service.log.read_text()


def test_an_upgrade_keeps_what_waits_and_what_was_configured(host: System, controllers: dict[str, Controller]) -> None:
    platform = controllers["platform"]
    configured = host.path(CONFIGURATION).read_text()
    assert platform.keystone_url in configured
    late = ("100.104", "host=compute-1")
    with Service(host):
        platform.kill()
        host.succeed("fmctl", "set", *late, "--severity", "major")
    second = packages.next_version(conftest.DIRECTORY / "second")
    host.install(second, "--option=Dpkg::Options::=--force-confold")
    shown = host.succeed("dpkg-query", "--show", "--showformat=${Version}", "fm-agent")
    assert shown == packages.field(second[0], "Version") != packages.field(packages.files()[0], "Version")
    assert host.path(CONFIGURATION).read_text() == configured
    assert "second version" in host.path(f"{CONFIGURATION}.dpkg-dist").read_text()
    assert stat.S_IMODE(host.path(CONFIGURATION).stat().st_mode) == 0o640
    platform.start()
    with Service(host):
        host.succeed("fmctl", "flush", "--wait=60")
    assert late in standing(platform)


def test_a_roll_back_on_the_same_schema(host: System) -> None:
    host.install(packages.files(), "--allow-downgrades", "--option=Dpkg::Options::=--force-confold")
    with Service(host) as service:
        assert ALARM[1] in host.succeed("fmctl", "get", *ALARM)
        assert service.doctor() == (0, [])


def test_removed_it_leaves_state_and_configuration(host: System) -> None:
    configured = host.path(CONFIGURATION).read_text()
    host.apt("remove", *packages.NAMES)
    assert not host.path("/usr/bin/fm-agent").exists() and not host.path("/usr/local/bin/fmClientCli").exists()
    assert subprocess.run(host.command("python3", "-c", "import fm_api"), capture_output=True, check=False).returncode != 0
    assert host.path(f"{STATE}/fm-agent.db").is_file()
    assert host.path(CONFIGURATION).read_text() == configured
    assert host.path("/etc/fm/credentials/platform").is_file()


def test_purged_it_leaves_nothing(host: System) -> None:
    host.apt("purge", "fm-agent")
    left = [place for place in (STATE, "/var/log/fm", "/etc/fm") if host.path(place).exists()]
    assert left == []
