"""``python -m fm_api``: sets, clears and shows alarms by hand, for people debugging a node.

Invariants:

- It does what a service's call would do, through the same interface, and says what happened in words.
- The exit status is 0 when it was done, 1 when there is no such alarm, 2 when it was not done (the
  reason is on standard error), 64 when the command is wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn, Optional

import fm_core

from . import _native, constants, fm_api

DONE, NONE_FOUND, NOT_DONE, USAGE = 0, 1, 2, 64


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Does one command; returns the exit status."""
    given = _parser().parse_args(arguments)
    # The reason of a failure is said once, here.
    logging.getLogger("fm_api").addHandler(logging.NullHandler())
    try:
        status: int = given.run(given)
    except fm_api.ClientException as error:
        return _not_done(str(error))
    except fm_api.APIException as error:
        return _not_done(f"{error.reason} ({error.code})")
    except _native.FmError as error:
        return _not_done(f"{error} ({error.code})")
    return status


def _not_done(reason: str) -> int:
    print(f"not done: {reason}", file=sys.stderr)
    return NOT_DONE


def _set(given: argparse.Namespace) -> int:
    fault = fm_api.Fault(
        alarm_id=given.alarm_id,
        alarm_state=given.state,
        entity_type_id=given.entity_type,
        entity_instance_id=given.entity,
        severity=given.severity,
        reason_text=given.reason,
        alarm_type=given.type,
        probable_cause=given.cause,
        proposed_repair_action=given.repair,
        service_affecting=given.service_affecting,
        suppression=given.suppression,
        timestamp=given.timestamp,
        keep_existing_alarm=given.keep_existing,
    )
    made = fm_api.FaultAPIsV2().set_fault(fault)
    return _none_found() if made is None else _say(made)


def _clear(given: argparse.Namespace) -> int:
    api = fm_api.FaultAPIsV2()
    if given.all:
        cleared = api.clear_all(given.entity)
    else:
        cleared = api.clear_fault(given.alarm_id, given.entity)
    return _say("cleared") if cleared else _none_found()


def _get(given: argparse.Namespace) -> int:
    fault = fm_api.FaultAPIsV2().get_fault(given.alarm_id, given.entity)
    if fault is None:
        return _none_found()
    if given.json:
        return _say(_json(fault))
    for name, text in fault.as_dict().items():
        print(f"{name}: {text}")
    return DONE


def _list(given: argparse.Namespace) -> int:
    api = fm_api.FaultAPIsV2()
    if given.alarm_id is None and given.entity is None:
        given.parser.error("name what to list: --alarm-id, --entity or both")
    elif given.alarm_id is None:
        faults = api.get_faults(given.entity)
    elif given.entity is None:
        faults = api.get_faults_by_id(given.alarm_id)
    else:
        faults = api.get_faults_by_id_n_eid(given.alarm_id, given.entity)
    if faults is None:
        return _none_found()
    for fault in faults:
        columns = [fault.timestamp, fault.severity, fault.alarm_id, fault.entity_instance_id, fault.reason_text]
        print(_json(fault) if given.json else "  ".join(map(str, columns)))
    return DONE


def _ping(_: argparse.Namespace) -> int:
    _native.call(fm_core.ping)
    print("the agent answers and its disk takes writes")
    for domain in json.loads(_native.call(fm_core.status))["domains"]:
        print(f"{domain['name']}: {domain['state']}, {domain['waiting']} waiting")
    return DONE


def _say(text: str) -> int:
    print(text)
    return DONE


def _none_found() -> int:
    print("no such alarm", file=sys.stderr)
    return NONE_FOUND


def _json(fault: fm_api.Fault) -> str:
    return json.dumps(fault.as_dict(), ensure_ascii=False)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m fm_api", description="Alarms of this node, by hand.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    command = commands.add_parser("set", help="raise an alarm, or record a log; prints its uuid")
    command.set_defaults(run=_set)
    _key(command)
    _choice(command, "--severity", constants.ALARM_SEVERITY, constants.FM_ALARM_SEVERITY_MINOR)
    _choice(command, "--state", constants.ALARM_STATE, constants.FM_ALARM_STATE_SET)
    _choice(command, "--type", constants.ALARM_TYPE, constants.FM_ALARM_TYPE_0)
    _choice(command, "--cause", constants.ALARM_PROBABLE_CAUSE, constants.ALARM_PROBABLE_CAUSE_UNKNOWN)
    command.add_argument("--entity-type", default=constants.FM_ENTITY_TYPE_HOST, metavar="TYPE", help="default: host")
    command.add_argument("--reason", metavar="TEXT", help="what happened")
    command.add_argument("--repair", metavar="TEXT", help="what a person should do about it")
    command.add_argument("--timestamp", metavar="TIME", help="YYYY-MM-DD HH:MM:SS[.ffffff], UTC; default: now")
    command.add_argument("--service-affecting", action="store_true", help="the service is affected")
    command.add_argument("--suppression", action="store_true", help="operators may suppress it")
    command.add_argument("--keep-existing", action="store_true", help="leave an alarm that stands as it is")

    command = commands.add_parser("clear", help="clear an alarm, or all of an entity")
    command.set_defaults(run=_clear)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("alarm_id", nargs="?", metavar="ALARM_ID", help="such as 100.101")
    which.add_argument("--all", action="store_true", help="every alarm of the entity and of what lies under it")
    command.add_argument("entity", metavar="ENTITY", help="such as host=compute-1")

    command = commands.add_parser("get", help="show one alarm")
    command.set_defaults(run=_get)
    _key(command)
    command.add_argument("--json", action="store_true", help="as a JSON object")

    command = commands.add_parser("list", help="show alarms, one a line, by time raised")
    command.set_defaults(run=_list, parser=command)
    command.add_argument("--alarm-id", metavar="ALARM_ID", help="those with this id")
    command.add_argument("--entity", metavar="ENTITY", help="those of this entity and of what lies under it")
    command.add_argument("--json", action="store_true", help="each as a JSON object with all fields")

    command = commands.add_parser("ping", help="whether the agent answers, and how its controllers are")
    command.set_defaults(run=_ping)
    return parser


def _key(command: argparse.ArgumentParser) -> None:
    command.add_argument("alarm_id", metavar="ALARM_ID", help="such as 100.101")
    command.add_argument("entity", metavar="ENTITY", help="such as host=compute-1; '' for the empty one")


def _choice(command: argparse.ArgumentParser, name: str, values: Sequence[str], default: Optional[str]) -> None:
    shown = ", ".join(values) if len(values) < 20 else "one of constants.ALARM_PROBABLE_CAUSE"
    command.add_argument(
        name, choices=values, default=default, metavar=name.strip("-").upper(), help=f"{shown}; default: {default}"
    )


if __name__ == "__main__":
    sys.exit(main())
