"""The package imports where callers' tests put stand-ins into ``sys.modules``, and pulls nothing in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "stand_in", ["mock.Mock()", "mock.MagicMock()", "types.ModuleType('fm_core')"], ids=["mock", "magic", "empty"]
)
def test_on_top_of_a_stand_in_for_the_extension(run_python: Callable[..., str], stand_in: str) -> None:
    program = f"""
import sys, types
from unittest import mock
sys.modules["fm_core"] = {stand_in}
from fm_api import constants, fm_api
fault = fm_api.Fault("100.101", "set", "host", "host=a", "major", "t", "other", "unknown", "r")
print(fault.as_dict()["alarm_id"], fm_api.FaultAPIs.alarm_allowed("minor", "major"))
fm_api.FaultAPIs(), fm_api.FaultAPIsV2()
with mock.patch.object(fm_api.FaultAPIs, "set_fault", return_value="u"):
    print(fm_api.FaultAPIs().set_fault(fault))
"""
    assert run_python(program).split() == ["100.101", "True", "u"]


def test_a_mocked_extension_answers_through_the_api(run_python: Callable[..., str]) -> None:
    program = """
import sys
from unittest import mock
core = sys.modules["fm_core"] = mock.Mock()
core.set_alarm.return_value = "u"
core.clear_alarm.side_effect = ValueError("from the test")
from fm_api import fm_api
fault = fm_api.Fault("100.101", "set", "host", "host=a", "major", "t", "other", "unknown", "r")
print(fm_api.FaultAPIs().set_fault(fault), fm_api.FaultAPIs().clear_all("host=a"))
try:
    fm_api.FaultAPIs().clear_fault("100.101", "host=a")
except ValueError as error:
    print(error)
"""
    assert run_python(program).splitlines() == ["u True", "from the test"]


def test_with_a_stand_in_for_the_module(run_python: Callable[..., str]) -> None:
    program = """
import sys
from unittest import mock
double = sys.modules["fm_api.fm_api"] = mock.Mock()
from fm_api import constants, fm_api
print(fm_api is double, constants.FM_ALARM_STATE_SET, "fm_core" in sys.modules)
"""
    assert run_python(program) == "True set False"


def test_eventlet_is_never_imported(run_python: Callable[..., str]) -> None:
    program = """
import sys
from fm_api import fm_api
fm_api.FaultAPIs().get_fault("100.101", "host=a")
print(any(name.partition(".")[0] == "eventlet" for name in sys.modules))
"""
    assert run_python(program) == "False"


# What importing may cost over a bare interpreter. A busy machine is slow: only a multiple is a failure.
BUDGET_MS, BUDGET_MIB, NOISE = 20.0, 6.0, 5.0

COST = """
import time
started = time.perf_counter()
{imported}
took = time.perf_counter() - started
with open("/proc/self/status") as lines:
    [resident] = [line.split()[1] for line in lines if line.startswith("VmRSS")]
print(took * 1000, int(resident) / 1024)
"""


def test_what_importing_costs(
    run_python: Callable[..., str], record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    # Installed packages have their bytecode; the first run writes it.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}

    def cost(imported: str) -> tuple[float, float]:
        runs = [run_python(COST.format(imported=imported), **compiled).split() for _ in range(9)]
        return min(float(took) for took, _ in runs), min(float(size) for _, size in runs)

    bare_ms, bare_mib = cost("pass")
    loaded_ms, loaded_mib = cost("from fm_api import constants, fm_api")
    ms, mib = loaded_ms - bare_ms, loaded_mib - bare_mib
    print(f"importing costs {ms:.1f} ms of {BUDGET_MS:.0f} and {mib:.1f} MiB of {BUDGET_MIB:.0f}")
    record_property("import_ms", ms)
    record_property("import_mib", mib)
    assert ms <= BUDGET_MS * NOISE
    # Memory does not depend on how busy the machine is.
    assert mib <= BUDGET_MIB


def test_nothing_is_needed_at_run_time(run_python: Callable[..., str]) -> None:
    program = """
import sys
before = set(sys.modules)
from fm_api import constants, fm_api
fm_api.FaultAPIs().get_fault("100.101", "host=a")
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded - set(sys.stdlib_module_names)))
"""
    assert run_python(program) == "['fm_api', 'fm_core']"
