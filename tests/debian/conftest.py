"""What the tests of the packages share. They need root, debootstrap and a mirror of Debian; nothing is skipped.

Each module has a system of its own, in which its tests follow each other in their order.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: The demo's programs and counting, and the units' reader.
for place in ("tests/demo", "tests/packaging"):
    sys.path.insert(0, str(ROOT / place))

#: Everything that is written goes here.
DIRECTORY = ROOT / "target/debian"
PROGRAMS = Path(os.environ.get("FM_TEST_BIN_DIR", ROOT / "target/debug")).resolve()
