"""What is served, the alerts and the dashboard, as Prometheus' own tool sees them."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dashboard
import pytest

PATIENCE_S = 60


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Prometheus' own checker."""
    command = [os.environ["FM_PROMTOOL"], *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What an agent serves after a few calls."""
    base = tmp_path_factory.mktemp("agent")
    programs = Path(os.environ["FM_TEST_BIN_DIR"])
    environment = {
        "FM_AGENT_SOCKET": str(base / "a.sock"),
        "FM_AGENT__AGENT__STATE_DIR": str(base / "state"),
        "FM_AGENT__METRICS__LISTEN": "127.0.0.1:0",
        "PATH": os.environ["PATH"],
    }
    (base / "empty.toml").write_text("")
    with (base / "log").open("wb") as log:
        agent = subprocess.Popen([str(programs / "fm-agent"), "--config", str(base / "empty.toml")], env=environment, stderr=log)
    try:
        address = ""
        deadline = time.monotonic() + PATIENCE_S
        while not address:
            lines = (base / "log").read_text().splitlines()
            address = "".join(line.split('address="')[1].strip('"') for line in lines if "metrics are served" in line)
            assert agent.poll() is None and time.monotonic() < deadline, lines
            time.sleep(0.01)
        # The socket is bound before the figures are served.
        for arguments in (["-G", "###host=nowhere"], ["-D", "host=nowhere"]):
            subprocess.run([str(programs / "fmClientCli"), *arguments], env=environment, check=False, capture_output=True)
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE_S) as answer:
            yield answer.read().decode()
    finally:
        agent.terminate()
        agent.wait(PATIENCE_S)


def test_what_is_served_has_no_finding(served: str) -> None:
    checked = promtool("check", "metrics", text=served)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_check_finds_what_is_wrong(served: str) -> None:
    wrong = served.replace("fm_agent_requests_total", "fm_agent_requests_milliseconds")
    assert promtool("check", "metrics", text=wrong).returncode != 0


def test_the_alerts_are_rules() -> None:
    checked = promtool("check", "rules", str(dashboard.RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_should() -> None:
    tests = Path(__file__).with_name("alerts.test.yaml")
    checked = promtool("test", "rules", str(tests))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    names = [line.split()[-1] for line in dashboard.RULES.read_text().splitlines() if "- alert:" in line]
    text = tests.read_text()
    assert len(names) == 9 and all(text.count(f"alertname: {name}\n") >= 1 for name in names)


def test_every_expression_of_the_dashboard_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": dashboard.filled(expression)}
        for number, expression in enumerate(dashboard.expressions(dashboard.load()))
    ]
    # JSON is YAML.
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert checked.returncode == 0 and len(rules) > 15, checked.stdout + checked.stderr
    rules[0]["expr"] += "("
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert promtool("check", "rules", str(tmp_path / "rules.yaml")).returncode != 0


@pytest.mark.parametrize("file", [dashboard.DASHBOARD, dashboard.RULES], ids=lambda file: str(file.name))
def test_only_figures_that_the_agent_has_are_used(file: Path) -> None:
    used = dashboard.figures(file.read_text())
    assert len(used) > 5
    assert used <= dashboard.described() | {"fm_agent"}, used - dashboard.described()


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.panels(dashboard.load()):
        place = panel.place
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24, panel.title
        taken |= cells
