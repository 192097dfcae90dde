"""The package imports where callers' tests put stand-ins into ``sys.modules``, and pulls nothing in."""

from __future__ import annotations

from collections.abc import Callable

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


