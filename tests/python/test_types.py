"""The package's types hold, and the stub says what the extension module has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE_DIR

CHECKS = {
    "package": ["mypy", "--strict", "-p", "fm_api"],
    "stub": ["mypy.stubtest", "fm_core"],
    "tests": ["mypy", "--strict", str(Path(__file__).parent)],
}


@pytest.mark.parametrize("check", CHECKS)
def test_types(check: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *CHECKS[check]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_DIR), "MYPYPATH": str(PACKAGE_DIR)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
