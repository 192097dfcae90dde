"""The packages under test, a second version of them, and packages of the names and versions of old."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from system import run

ROOT = Path(__file__).resolve().parents[2]
BUILT = Path(os.environ.get("FM_TEST_PACKAGES", ROOT / "target/package")).resolve()
NAMES = ["fm-agent", "fm-common", "fm-common-dev", "python3-fm-api"]
OLD_VERSION = "1.0-1.stx"


def multiarch() -> str:
    """The name of the directory of this machine's libraries."""
    return run(["dpkg-architecture", "-qDEB_HOST_MULTIARCH"]).stdout.strip()


def files(directory: Path = BUILT) -> list[Path]:
    """The package files, in the order of their names."""
    found = [next(directory.glob(f"{name}_*.deb"), None) for name in NAMES]
    assert None not in found, f"packages are missing in {directory}: run cargo xtask package"
    return [package for package in found if package is not None]


def field(package: Path, name: str) -> str:
    """One field of a package."""
    return run(["dpkg-deb", "--field", str(package), name]).stdout.strip()


def next_version(directory: Path) -> list[Path]:
    """The same programs with a higher version and another default configuration."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    build = directory / "build"
    # With links as they are.
    run(["cp", "--archive", str(BUILT / "build"), str(build)])
    changelog = build / "debian/changelog"
    text = changelog.read_text()
    entry = text.replace("-1) unstable", "-2) unstable", 1)
    assert entry != text
    changelog.write_text(f"{entry.rstrip()}\n\n{text}")
    with (build / "stage/etc/fm/fm-agent.toml").open("a") as configuration:
        configuration.write("\n# As the second version has it.\n")
    variables = {**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym"}
    run(["dpkg-buildpackage", "--build=binary", "--unsigned-changes", "--unsigned-buildinfo"], cwd=build, env=variables)
    return files(directory)


def old(directory: Path) -> list[Path]:
    """What is on hosts today, as far as its files are in the way: a stand-in of each package."""
    library = f"usr/lib/{multiarch()}"
    contents = {
        "fm-common": ["usr/local/bin/fmClientCli", f"{library}/libfmcommon.so.1"],
        "fm-common-dev": ["usr/include/fmAPI.h", f"{library}/libfmcommon.so"],
        "python3-fm-api": ["usr/lib/python3/dist-packages/fm_api/fm_api.py"],
        "python3-fm-core": ["usr/lib/python3/dist-packages/fm_core.abi3.so"],
        "a-caller": ["usr/share/a-caller/readme"],
    }
    depends = {"a-caller": "fm-common (>= 1.0), python3-fm-api (>= 1.0)"}
    shutil.rmtree(directory, ignore_errors=True)
    return [_make(directory, name, contents[name], depends.get(name)) for name in contents]


def _make(directory: Path, name: str, contents: list[str], depends: str | None) -> Path:
    tree = directory / name
    for file in contents:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text("as of old\n")
    control = tree / "DEBIAN/control"
    control.parent.mkdir()
    architecture = run(["dpkg", "--print-architecture"]).stdout.strip()
    lines = [f"Package: {name}", f"Version: {OLD_VERSION}", f"Architecture: {architecture}"]
    lines += ["Maintainer: nobody <nobody@localhost>", "Description: a stand-in"]
    control.write_text("\n".join(lines + ([f"Depends: {depends}"] if depends else [])) + "\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(directory)], check=True, capture_output=True)
    (package,) = directory.glob(f"{name}_*.deb")
    return package
