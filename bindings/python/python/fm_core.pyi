# Types of the extension module. Its functions release the interpreter while they wait for the agent.
# The typed calls raise FmError for whatever was not done; the text calls, last, answer with None (none
# found; of set: not done) or False (failed) and log the reason.

from typing import Literal, Optional, TypedDict, type_check_only

__all__ = [
    "FmError",
    "clear",
    "clear_alarm",
    "clear_alarms",
    "clear_all",
    "clear_all_alarms",
    "clear_list",
    "get",
    "get_alarm",
    "get_by_aid",
    "get_by_eid",
    "get_by_id_n_eid",
    "list_by_entity",
    "list_by_id",
    "list_by_id_and_entity",
    "ping",
    "set",
    "set_alarm",
    "set_alarms",
    "set_fault_list",
    "status",
]

@type_check_only
class AlarmFields(TypedDict):
    uuid: Optional[str]
    alarm_id: str
    alarm_state: str
    entity_type_id: str
    entity_instance_id: str
    timestamp: Optional[str]
    severity: str
    reason_text: Optional[str]
    alarm_type: str
    probable_cause: str
    proposed_repair_action: Optional[str]
    service_affecting: bool
    suppression: bool
    inhibit_alarms: bool
    keep_existing_alarm: bool

class FmError(Exception):
    code: str
    field: Optional[str]

def set_alarm(alarm: AlarmFields) -> str: ...
def set_alarms(alarms: list[AlarmFields]) -> list[str]: ...
def clear_alarm(alarm_id: str, entity_instance_id: Optional[str]) -> None: ...
def clear_all_alarms(entity_instance_id: Optional[str]) -> None: ...
def clear_alarms(keys: list[tuple[str, Optional[str]]]) -> None: ...
def get_alarm(alarm_id: str, entity_instance_id: Optional[str]) -> AlarmFields: ...
def list_by_entity(entity_instance_id: Optional[str]) -> list[AlarmFields]: ...
def list_by_id(alarm_id: str) -> list[AlarmFields]: ...
def list_by_id_and_entity(alarm_id: str, entity_instance_id: Optional[str]) -> list[AlarmFields]: ...
def ping() -> None: ...
def status() -> str: ...
def set(alarm: str) -> Optional[str]: ...
def set_fault_list(alarms: list[str]) -> Optional[bool]: ...
def clear(filter: str) -> Optional[bool]: ...
def clear_all(entity_instance_id: str) -> Optional[bool]: ...
def clear_list(filters: list[str]) -> Optional[bool]: ...
def get(filter: str) -> str | Literal[False] | None: ...
def get_by_aid(alarm_id: str, max: Optional[int] = None) -> list[str] | Literal[False] | None: ...
def get_by_eid(
    entity_instance_id: str, max: Optional[int] = None
) -> list[str] | Literal[False] | None: ...
def get_by_id_n_eid(filter: str, max: Optional[int] = None) -> list[str] | Literal[False] | None: ...
