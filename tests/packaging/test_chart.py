"""The chart: what Helm makes of it, whether Kubernetes takes that, and whether the agent reads it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import helm
import jsonschema
import kubernetes_validate
import pytest
import tomllib
import values
import yaml

KUBERNETES = ["1.25", "1.35"]
MIB = 1024 * 1024
SCHEMA = json.loads((helm.CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((helm.CHART / "values.yaml").read_text())
# Kinds that Kubernetes itself does not know, as the Prometheus operator describes them.
POD_MONITOR = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "spec": {
            "type": "object",
            "required": ["selector", "podMetricsEndpoints"],
            "additionalProperties": False,
            "properties": {
                "selector": {"type": "object", "required": ["matchLabels"]},
                "podMetricsEndpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"type": "string", "pattern": "^/"},
                            "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
                            "relabelings": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "properties": {
                                        "sourceLabels": {"type": "array", "items": {"type": "string"}},
                                        "targetLabel": {"type": "string"},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture(params=values.CASES.values(), ids=values.CASES.keys())
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    """What each case makes."""
    return helm.render(request.param, tmp_path)


def valid(item: dict[str, Any], version: str) -> None:
    """Kubernetes of this version would take it, and knows each of its keys."""
    if item["kind"] == "PodMonitor":
        jsonschema.validate(item, POD_MONITOR)
    else:
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_every_object(objects: list[dict[str, Any]], version: str) -> None:
    assert {item["kind"] for item in objects} >= {"ConfigMap", "DaemonSet"}
    for item in objects:
        valid(item, version)


def test_kubernetes_would_refuse_a_wrong_object(tmp_path: Path) -> None:
    for version in KUBERNETES:
        objects = helm.render({}, tmp_path)
        pod = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]
        pod["priorityClass"] = pod.pop("priorityClassName")
        with pytest.raises(kubernetes_validate.ValidationError):
            valid(helm.one(objects, "DaemonSet"), version)
    monitor = helm.one(helm.render(values.CASES["everything"], tmp_path), "PodMonitor")
    monitor["spec"]["endpoints"] = monitor["spec"].pop("podMetricsEndpoints")
    with pytest.raises(jsonschema.ValidationError):
        valid(monitor, KUBERNETES[0])


def test_helm_finds_nothing_to_complain_about() -> None:
    done = helm.run("lint", "--strict", str(helm.CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_defaults_are_all_in_the_schema_and_the_schema_is_sound() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(DEFAULTS, SCHEMA, jsonschema.Draft202012Validator)
    assert set(SCHEMA["properties"]) - {"global"} == set(DEFAULTS)

    def strict(schema: dict[str, Any], given: Any, path: str) -> None:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        if isinstance(given, dict) and "properties" in schema:
            assert schema["additionalProperties"] is False, path
            assert set(schema["properties"]) - {"global"} == set(given), path
            for name, value in given.items():
                strict(schema["properties"][name], value, f"{path}.{name}")

    strict(SCHEMA, DEFAULTS, "values")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("agent.durabilty", "power"),
        ("agent.durability", "often"),
        ("agent.shutdownGraceMs", 0),
        ("agent.bufferedBytes", 1048576),
        ("agent.maxBytes", 1),
        ("agent.maxRequests", 999),
        ("agent.highWater", 1.5),
        ("agent.log", "loud,fm_agent=="),
        ("agent.log", "info,fm_agent=loud"),
        ("access.read", ["everybody else"]),
        ("access.admin", ["1001"]),
        ("access.write", ["team:fm"]),
        ("access.delete", ["root"]),
        ("audit.to", "audit.log"),
        ("platform.fmManager.host", "controller:8001"),
        ("platform.fmManager.host", "192.0.2.1:8001"),
        ("platform.fmRestApi.keystone", {"account": "password", "existingSecret": "fm", "secretKey": "secret", "username": ""}),
        ("platform.backend", "rest"),
        ("platform.maxInFlight", 65),
        ("platform.fmRestApi.endpoint", "ftp://controller"),
        ("platform.fmRestApi.endpoint", "http://fm:secret@controller"),
        ("platform.fmRestApi.keystone.password", "secret"),
        ("openstack.fmRestApi.keystone.account", "trust"),
        ("openstack.fmRestApi.keystone.interface", "private"),
        ("socket.mode", "0066"),
        ("socket.hostPath", "run/fm"),
        ("routes", [{"domain": "platform"}]),
        ("routes", [{"alarmId": "1.1", "domain": "both"}]),
        ("routes", [{"entityInstanceId": "host=compute-*.storage*", "domain": "platform"}]),
        ("metrics.port", 80),
        ("updateStrategy.maxUnavailable", 0),
        ("user", 0),
    ],
)
def test_wrong_values_are_refused_and_named(key: str, value: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    place, (*tables, last) = given, key.split(".")
    for table in tables:
        place = place.setdefault(table, {})
    place[last] = value
    merged = copy.deepcopy(DEFAULTS)
    with pytest.raises(helm.Refused, match=tables[-1] if tables else last):
        helm.render(given, tmp_path)
    place = merged
    for table in tables:
        place = place[table]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged, SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"platform": {"backend": "fmRestApi"}}, "platform.fmRestApi.endpoint is needed"),
        ({"openstack": {"backend": "fmManager"}}, "openstack.fmManager.host is needed"),
        ({"platform": values.rest({**values.PASSWORD, "existingSecret": ""})}, "keystone.existingSecret is needed"),
        ({"platform": values.rest({**values.PASSWORD, "secretKey": ""})}, "keystone.secretKey is needed"),
        ({"metrics": {"podMonitor": {"enabled": True}}}, "metrics.podMonitor needs metrics.enabled"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(helm.Refused, match=words):
        helm.render(given, tmp_path)


def on_this_machine(objects: list[dict[str, Any]], place: Path) -> str:
    """The configuration of the ConfigMap, with the files of the pod's Secrets below a directory of the test's."""
    text: str = helm.one(objects, "ConfigMap")["data"]["fm-agent.toml"]
    pod = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    for mount in pod["containers"][0]["volumeMounts"]:
        for item in secrets.get(mount["name"], {}).get("items", []):
            file = place / mount["mountPath"].lstrip("/") / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(values.FILES[item["key"]])
    return text.replace("/etc/fm/secrets", str(place / "etc/fm/secrets"))


def check(text: str, place: Path) -> subprocess.CompletedProcess[str]:
    """The real agent's opinion of a configuration."""
    file = place / "fm-agent.toml"
    file.write_text(text)
    command = [str(Path(os.environ["FM_TEST_BIN_DIR"]) / "fm-agent"), "--check-config", "--config", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=60)


def test_the_agent_reads_each_key_that_is_written(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    text = on_this_machine(objects, tmp_path)
    done = check(text, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), text
    # Each key is one that counts: with a typo in it, any of them is refused.
    lines = text.splitlines()
    for number, line in enumerate(lines):
        name, equals, value = line.partition(" = ")
        if equals:
            typo = [*lines[:number], f"{name}x = {value}", *lines[number + 1 :]]
            done = check("\n".join(typo), tmp_path)
            assert done.returncode == 78 and f"{name}x" in done.stderr, done.stderr


def test_every_file_of_the_configuration_is_mounted(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    text = on_this_machine(objects, tmp_path)
    named = [line.split('"')[1] for line in text.splitlines() if "_file = " in line]
    assert all(Path(file).is_file() for file in named), named
    # Secrets are named, never contained.
    assert "canary-5d20" not in json.dumps(objects)


def test_the_pod_has_no_more_rights_than_it_needs(objects: list[dict[str, Any]]) -> None:
    pod = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert not any("valueFrom" in variable for variable in container.get("env", []))
        assert "memory" in container["resources"]["limits"]
    assert "add" not in pod["containers"][0]["securityContext"]["capabilities"]
    assert pod["priorityClassName"] == "system-node-critical" and {"operator": "Exists"} in pod["tolerations"]
    assert pod["terminationGracePeriodSeconds"] > DEFAULTS["agent"]["shutdownGraceMs"] / 1000
    paths = {volume["name"]: volume["hostPath"] for volume in pod["volumes"] if "hostPath" in volume}
    assert {path["type"] for path in paths.values()} == {"DirectoryOrCreate"} and set(paths) == {"socket", "state"}


def test_callers_cannot_have_the_agent_killed(tmp_path: Path) -> None:
    objects = helm.render({}, tmp_path)
    (agent,) = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]["containers"]
    limits = tomllib.loads(helm.one(objects, "ConfigMap")["data"]["fm-agent.toml"])["limits"]
    allowed = agent["resources"]["limits"]["memory"]
    assert allowed.endswith("Mi")
    # What the agent's own tests let it take under hostile callers, and a million requests that wait.
    assert int(allowed[:-2]) * MIB >= 2 * limits["buffered_bytes"] + 64 * MIB + 50 * MIB
    assert limits["buffered_bytes_per_user"] * 2 == limits["buffered_bytes"] == DEFAULTS["agent"]["bufferedBytes"]


def test_the_defaults_are_the_agents_own(tmp_path: Path) -> None:
    text = helm.one(helm.render({}, tmp_path), "ConfigMap")["data"]["fm-agent.toml"]
    documented = (helm.ROOT / "docs/configuration.md").read_text()
    written = tomllib.loads(text)
    # A key of the reference that the chart writes, with a value that differs for a reason: the chart's limit of memory.
    assert written["limits"]["buffered_bytes"] == 64 * MIB
    for table, key in [
        *(("agent", key) for key in ("max_bytes", "max_requests", "high_water", "max_rejected", "rejected_days")),
        *(("access", key) for key in ("read", "write", "admin")),
        ("audit", "to"),
    ]:
        section = documented.split(f"\n### {table}.{key}\n")[1].split("\n###")[0]
        assert f"default: `{json.dumps(written[table][key])}`" in section, section


def test_the_network_policy_lets_out_to_what_is_configured(tmp_path: Path) -> None:
    given = copy.deepcopy(values.CASES["everything"])
    policy = helm.one(helm.render(given, tmp_path), "NetworkPolicy")["spec"]
    names, controllers = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert {port["port"] for port in controllers["ports"]} == {5000, 18002, 18003}
    assert controllers["to"] == given["networkPolicy"]["controllers"]
    (prometheus,) = policy["ingress"]
    assert prometheus["from"] == given["networkPolicy"]["prometheus"]
    alone = helm.one(helm.render({"networkPolicy": {"enabled": True}}, tmp_path), "NetworkPolicy")["spec"]
    assert alone["ingress"] == [] and len(alone["egress"]) == 1
    plain = values.rest(values.PASSWORD, "http://[2001:db8::1]/v1")
    ports = helm.one(helm.render({"platform": plain, "networkPolicy": {"enabled": True}}, tmp_path), "NetworkPolicy")
    assert {port["port"] for port in ports["spec"]["egress"][1]["ports"]} == {80, 5000}


def test_a_changed_configuration_starts_the_agents_anew(tmp_path: Path) -> None:
    def checksum(given: dict[str, Any]) -> str:
        template = helm.one(helm.render(given, tmp_path), "DaemonSet")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum({}) == checksum({"podLabels": {"a": "b"}}) != checksum({"agent": {"log": "debug"}})


def test_figures_and_dashboard_are_those_of_the_repository(tmp_path: Path) -> None:
    objects = helm.render(values.CASES["everything"], tmp_path)
    board = helm.one(objects, "ConfigMap", "fm-fm-agent-dashboard")
    assert board["data"]["fm-agent.json"] == (helm.ROOT / "packaging/grafana/fm-agent.json").read_text()
    ports = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["ports"]
    endpoints = helm.one(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert [port["name"] for port in ports] == [endpoint["port"] for endpoint in endpoints]
    assert f'listen = "0.0.0.0:{ports[0]["containerPort"]}"' in helm.one(objects, "ConfigMap")["data"]["fm-agent.toml"]


def test_the_versions_are_the_programs() -> None:
    chart = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())
    manifest = (helm.ROOT / "Cargo.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in manifest and chart["version"] == chart["appVersion"]
