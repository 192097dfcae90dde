# Types of the extension module. Its functions release the interpreter while they wait for the agent,
# and raise FmError for whatever was not done.

from typing import Optional, TypedDict, type_check_only

__all__ = [
    "FmError",
    "clear_alarm",
    "clear_alarms",
    "clear_all_alarms",
    "get_alarm",
    "list_by_entity",
    "list_by_id",
    "list_by_id_and_entity",
    "ping",
    "set_alarm",
    "set_alarms",
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
