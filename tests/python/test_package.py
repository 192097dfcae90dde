"""The source distribution, the wheel made from it, and that wheel on every interpreter found."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

PROJECT = ROOT / "bindings/python/python"
MATURIN = Path(sys.executable).with_name("maturin")
OLDEST, NEWEST = (3, 9), (3, 14)


def run(command: list[str | Path], where: Path) -> None:
    # The cache of an ordinary build is left alone: maturin builds with other flags.
    environment = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target/maturin")}
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution."""
    out = tmp_path_factory.mktemp("sdist")
    run([MATURIN, "sdist", "--out", out], PROJECT)
    [made] = out.iterdir()
    return made


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, from the source distribution alone, not optimised for the sake of time."""
    base = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(base)
    [source] = base.iterdir()
    # Cargo takes what it built from equal paths for fresh, unless the sources are newer.
    for path in source.rglob("*.rs"):
        path.touch()
    # Offline: what this workspace was built from is there, and a wrong lock file must not go unseen.
    run([MATURIN, "build", "--offline", "--profile", "dev", "-i", sys.executable, "--out", base / "out"], source)
    [made] = (base / "out").iterdir()
    return made


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel installs."""
    into = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    return into


def test_names_and_versions(sdist: Path, wheel: Path, installed: Path) -> None:
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[:1]
    assert sdist.name == f"fm_api-{version}.tar.gz"
    assert wheel.name.startswith(f"fm_api-{version}-cp39-abi3-")
    metadata = email.message_from_string((installed / f"fm_api-{version}.dist-info/METADATA").read_text())
    assert (metadata["Name"], metadata["Version"]) == ("fm-api", version)
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata.get_all("Requires-Dist") is None


def test_what_the_wheel_installs(installed: Path) -> None:
    sources = {f"fm_api/{path.name}" for path in (PROJECT / "fm_api").iterdir() if path.is_file()}
    extension = {f"fm_core/{name}" for name in ("__init__.py", "__init__.pyi", "fm_core.abi3.so", "py.typed")}
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {name for name in found if ".dist-info/" not in name} == sources | extension
    assert "fm_api/py.typed" in found
    assert (installed / "fm_core/__init__.pyi").read_text() == (PROJECT / "fm_core.pyi").read_text()


def test_the_stub_fits_the_installed_extension(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "fm_core", "--ignore-missing-stub"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed), "MYPYPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def interpreters() -> dict[str, Path]:
    """The interpreters of this machine that the package is for, by version; the running one is always there."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [Path(sys.executable), *sorted(versions.glob("*/bin/python3"))]
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        on_path = shutil.which(f"python3.{minor}")
        candidates += [Path(on_path)] if on_path else []
    found: dict[str, Path] = {}
    for path in candidates:
        # What is on the path may be a shim of a version that is not installed.
        asked = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True
        )
        if asked.returncode == 0:
            major, minor = map(int, asked.stdout.split())
            if OLDEST <= (major, minor) <= NEWEST:
                found.setdefault(f"{major}.{minor}", path)
    return found


INTERPRETERS = interpreters()


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("version", INTERPRETERS)
def test_on_every_interpreter_found(version: str, installed: Path) -> None:
    path = os.pathsep.join([str(installed), str(Path(__file__).parent)])
    number = version.partition(".")[2]
    # Python warns of any fork beside threads since 3.12; every other warning is an error.
    warnings = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run(
        [str(INTERPRETERS[version]), *warnings, "-B", "-m", "scenario", number],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("passed ")
