"""Takes the dashboard's picture from a real run: an agent, two stand-in controllers, callers, a Prometheus.

It runs for about three minutes: callers raise and clear, the OpenStack controller goes away and comes back,
an alarm is raised that the platform's refuses. Then each panel's own expressions are asked of Prometheus and
drawn in the panel's place. Grafana draws them more beautifully; the figures are the same.

Usage: picture.py FILE.png, with FM_TEST_BIN_DIR, FM_PROMETHEUS and the package fm_api on the path.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import dashboard
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

SECONDS = 180
AWAY = (60, 110)


def get(url: str) -> Any:
    """A JSON answer."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


class Controller:
    """A stand-in controller."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        command = [str(Path(os.environ["FM_TEST_BIN_DIR"]) / "fm-rest-sim")]
        self.process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(self.process.terminate)
        assert self.process.stdout is not None
        self.addresses = json.loads(self.process.stdout.readline())

    def table(self, domain: str) -> str:
        """Its part of the agent's configuration."""
        return (
            f"[{domain}.fm_rest_api]\nendpoint = '{self.addresses['url']}'\n"
            f"[{domain}.fm_rest_api.keystone]\nauth_url = '{self.addresses['keystone_url']}'\n"
            "username = 'fm'\npassword = 'fm-secret'\n"
        )

    def control(self, method: str, body: object = None) -> None:
        """Begins or ends its faults."""
        data = None if body is None else json.dumps(body).encode()
        url = self.addresses["control_url"] + "/faults"
        urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=30).close()


def call(end: float, number: int) -> None:
    """Raises and clears until the end, as a process of its own would."""
    from fm_api import constants, fm_api

    chance = random.Random(number)
    api = fm_api.FaultAPIs()
    while time.monotonic() < end:
        alarm_id = chance.choice(["100.103", "700.001", "200.001"])
        entity = f"host=compute-{chance.randrange(30)}" if alarm_id != "700.001" else f"instance=vm-{chance.randrange(30)}"
        if chance.random() < 0.55:
            severity = chance.choice([constants.FM_ALARM_SEVERITY_MAJOR, constants.FM_ALARM_SEVERITY_CRITICAL])
            fault = fm_api.Fault(
                alarm_id, constants.FM_ALARM_STATE_SET, entity.split("=")[0], entity, severity,
                f"load {chance.randrange(100)}", constants.FM_ALARM_TYPE_7, constants.ALARM_PROBABLE_CAUSE_50, "look",
            )
            api.set_fault(fault)
        elif chance.random() < 0.5:
            api.clear_fault(alarm_id, entity)
        else:
            api.get_fault(alarm_id, entity)
        time.sleep(chance.expovariate(12))


def run(base: Path, stack: contextlib.ExitStack) -> tuple[str, float, float]:
    """The run; gives Prometheus' address and the time that the dashboard shows."""
    platform, openstack = Controller(stack), Controller(stack)
    port = 20000 + os.getpid() % 20000
    listen = f"127.0.0.1:{port}"
    config = base / "fm-agent.toml"
    config.write_text(
        f"[agent]\nsocket = '{base}/a.sock'\nstate_dir = '{base}/state'\n[metrics]\nlisten = '{listen}'\n"
        + platform.table("platform") + openstack.table("openstack")
    )
    agent = [str(Path(os.environ["FM_TEST_BIN_DIR"]) / "fm-agent"), "--config", str(config)]
    stack.callback(stack.enter_context(subprocess.Popen(agent)).terminate)
    scrape = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "fm-agent", "static_configs": [{"targets": [listen]}]}],
    }
    (base / "prometheus.yml").write_text(json.dumps(scrape))
    web = f"127.0.0.1:{port + 1}"
    server = [
        os.environ["FM_PROMETHEUS"], f"--config.file={base}/prometheus.yml", f"--storage.tsdb.path={base}/tsdb",
        f"--web.listen-address={web}", "--log.level=error",
    ]
    stack.callback(stack.enter_context(subprocess.Popen(server)).terminate)
    os.environ["FM_AGENT_SOCKET"] = f"{base}/a.sock"
    time.sleep(2)
    begun, end = time.time(), time.monotonic() + SECONDS
    callers = [threading.Thread(target=call, args=(end, number)) for number in range(6)]
    for caller in callers:
        caller.start()
    time.sleep(AWAY[0])
    openstack.control("POST", {"kind": "refuse"})
    time.sleep(AWAY[1] - AWAY[0])
    openstack.control("DELETE")
    for caller in callers:
        caller.join()
    time.sleep(3)
    return f"http://{web}", begun, time.time()


def amount(unit: str, value: float) -> str:
    """A value as people read it."""
    if unit == "s":
        return f"{value:.0f} s" if value >= 10 or value == 0 else f"{value * 1000:.3g} ms"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB" if value < 2**30 else f"{value / 2**30:.3g} GiB"
    if unit == "none":
        return "up" if value else "down"
    ends = {"reqps": "/s", "ops": "/s"}.get(unit, "")
    return f"{value:.3g}{ends}"


def draw(axes: Axes, panel: dashboard.Panel, server: str, begun: float, ended: float) -> None:
    """One panel."""
    axes.set_title(panel.title, loc="left", fontsize=9, fontweight="bold")
    words = []
    for query in panel.queries:
        expression = dashboard.filled(query.expression, "10s")
        asked = urllib.parse.urlencode({"query": expression, "start": begun, "end": ended, "step": 1})
        for series in get(f"{server}/api/v1/query_range?{asked}")["data"]["result"]:
            name = query.legend
            for label, text in series["metric"].items():
                name = name.replace("{{" + label + "}}", text)
            moments = [at - begun for at, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            if panel.kind == "stat":
                words.append(f"{name}: {amount(panel.unit, values[-1])}")
            else:
                axes.plot(moments, values, label=name, linewidth=1.2)
    if panel.kind == "stat":
        axes.axis("off")
        axes.text(0.0, 0.55, "\n".join(words) or "no data", fontsize=12, va="center")
        return
    axes.set_ylim(bottom=0)
    axes.axvspan(*AWAY, color="#dd4444", alpha=0.08)
    axes.tick_params(labelsize=7)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(panel.unit, value)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
    axes.grid(alpha=0.25)
    if axes.lines:
        axes.legend(fontsize=7, loc="upper left", ncols=2, frameon=False)


def main() -> None:
    """The picture."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        server, begun, ended = run(Path(directory), stack)
        panels = dashboard.panels(dashboard.load())
        rows = max(panel.place["y"] + panel.place["h"] for panel in panels)
        figure = pyplot.figure(figsize=(15, rows * 0.5), dpi=80)
        grid = figure.add_gridspec(rows, 24, hspace=9, wspace=6, left=0.05, right=0.985, top=0.94, bottom=0.04)
        figure.suptitle("fm-agent: three minutes, the OpenStack controller away in the shaded one", fontsize=11)
        for panel in panels:
            place = panel.place
            cell = grid[place["y"] : place["y"] + place["h"], place["x"] : place["x"] + place["w"]]
            draw(figure.add_subplot(cell), panel, server, begun, ended)
        figure.savefig(sys.argv[1])


if __name__ == "__main__":
    main()
