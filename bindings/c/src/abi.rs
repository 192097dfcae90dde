//! The types of `fmAPI.h`, laid out as callers were compiled against them.
//!
//! Invariants: size, alignment and offsets are checked below, when this is compiled; `include/fmAPI.h` is
//! made from this file, so comments here are written for C programmers.

#![expect(non_camel_case_types, reason = "the names are the interface's")]

use std::ffi::{c_char, c_uchar, c_ulonglong};
use std::mem::MaybeUninit;

use crate::enums::{EFmAlarmProbableCauseT, EFmAlarmSeverityT, EFmAlarmStateT, EFmAlarmTypeT};

/// Bytes of every text, the NUL at its end among them.
pub const FM_MAX_BUFFER_LENGTH: usize = 255;

/// The two values of `FMBoolTypeT`; any value but 0 is taken for true.
pub const FM_TRUE: c_uchar = 1;
/// See `FM_TRUE`.
pub const FM_FALSE: c_uchar = 0;

/// `FM_TRUE` or `FM_FALSE`.
pub type FMBoolTypeT = c_uchar;

/// Microseconds since 1970-01-01 00:00:00 UTC.
pub type FMTimeT = c_ulonglong;

/// A uuid in its text form, NUL-terminated.
pub type fm_uuid_t = [c_char; FM_MAX_BUFFER_LENGTH];

/// The path of an entity, such as "host=compute-1.port=eth0", NUL-terminated.
pub type fm_ent_inst_t = [c_char; FM_MAX_BUFFER_LENGTH];

/// An alarm's id in the catalogue, such as "300.010", NUL-terminated.
pub type fm_alarm_id = [c_char; FM_MAX_BUFFER_LENGTH];

/// An alarm to raise or clear, a log to record, or an alarm that stands. Texts are UTF-8.
///
/// A call that raises or records looks at every field but uuid; one whose `alarm_state` is
/// `FM_ALARM_STATE_CLEAR` looks at `alarm_id`, `alarm_state` and `entity_instance_id` only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SFmAlarmDataT {
    /// Given by the library: what a caller puts here is not looked at.
    pub uuid: fm_uuid_t,
    /// What happened, by its id in the catalogue.
    pub alarm_id: [c_char; FM_MAX_BUFFER_LENGTH],
    /// Raise, clear or record.
    pub alarm_state: MaybeUninit<EFmAlarmStateT>,
    /// The kind of entity, such as "host.port".
    pub entity_type_id: [c_char; FM_MAX_BUFFER_LENGTH],
    /// The entity; empty for the whole system.
    pub entity_instance_id: [c_char; FM_MAX_BUFFER_LENGTH],
    /// When it was noticed; 0 means now.
    pub timestamp: FMTimeT,
    /// How bad it is; `FM_ALARM_SEVERITY_CLEAR` asks for a clear.
    pub severity: MaybeUninit<EFmAlarmSeverityT>,
    /// What happened, for people.
    pub reason_text: [c_char; FM_MAX_BUFFER_LENGTH],
    /// The kind of fault.
    pub alarm_type: MaybeUninit<EFmAlarmTypeT>,
    /// Why it came about.
    pub probable_cause: MaybeUninit<EFmAlarmProbableCauseT>,
    /// What a person should do about it.
    pub proposed_repair_action: [c_char; FM_MAX_BUFFER_LENGTH],
    /// Whether the service is affected.
    pub service_affecting: FMBoolTypeT,
    /// Whether operators may suppress alarms of this kind.
    pub suppression: FMBoolTypeT,
    /// Kept for callers; nothing looks at it.
    pub inhibit_alarms: FMBoolTypeT,
    /// Leave an alarm that stands as it is, its uuid and time included.
    pub keep_existing_alarm: FMBoolTypeT,
}

/// Names one alarm, or, where a call says so, the alarms with this id of an entity and of what lies under
/// it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AlarmFilter {
    /// The alarm's id in the catalogue.
    pub alarm_id: [c_char; FM_MAX_BUFFER_LENGTH],
    /// The entity.
    pub entity_instance_id: [c_char; FM_MAX_BUFFER_LENGTH],
}

/// A `std::vector` of libstdc++ as it lies in memory.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Vector<T> {
    /// The first element; null in an empty vector that never held one.
    pub begin: *const T,
    /// Past the last element.
    pub end: *const T,
    /// Past the room for elements.
    pub end_of_storage: *const T,
}

macro_rules! assert_layout {
    ($type:ty: $size:literal bytes, alignment $align:literal $(, $field:ident at $offset:literal)*) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            assert!(align_of::<$type>() == $align);
            $(assert!(std::mem::offset_of!($type, $field) == $offset);)*
        };
    };
}

assert_layout!(SFmAlarmDataT: 1568 bytes, alignment 8,
    uuid at 0, alarm_id at 255, alarm_state at 512, entity_type_id at 516, entity_instance_id at 771,
    timestamp at 1032, severity at 1040, reason_text at 1044, alarm_type at 1300, probable_cause at 1304,
    proposed_repair_action at 1308, service_affecting at 1563, suppression at 1564, inhibit_alarms at 1565,
    keep_existing_alarm at 1566);
assert_layout!(AlarmFilter: 510 bytes, alignment 1, alarm_id at 0, entity_instance_id at 255);
assert_layout!(Vector<SFmAlarmDataT>: 24 bytes, alignment 8, begin at 0, end at 8, end_of_storage at 16);
assert_layout!(EFmAlarmStateT: 4 bytes, alignment 4);
assert_layout!(EFmAlarmSeverityT: 4 bytes, alignment 4);
assert_layout!(EFmAlarmTypeT: 4 bytes, alignment 4);
assert_layout!(EFmAlarmProbableCauseT: 4 bytes, alignment 4);
assert_layout!(crate::enums::EFmErrorT: 4 bytes, alignment 4);
assert_layout!(FMTimeT: 8 bytes, alignment 8);
assert_layout!(FMBoolTypeT: 1 bytes, alignment 1);
