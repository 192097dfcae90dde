//! The functions of `fmAPI.h`, each a translation around one call of the client.
//!
//! Invariants: every body is inside `entry!`; a caller's memory is written only when the call has
//! succeeded, or where the interface says so. Comments here become those of the header.

use std::ffi::{c_char, c_uint};
use std::mem::MaybeUninit;
use std::time::Duration;

use fm_common::ErrorCode;

use crate::abi::{AlarmFilter, SFmAlarmDataT, Vector, fm_alarm_id, fm_ent_inst_t, fm_uuid_t};
use crate::border::{entry, guard};
use crate::enums::EFmErrorT;
use crate::failure::{Failure, with_last};
use crate::{alarm, text, values};

/// How many alarms `fm_get_faults_by_id_n_eid` writes when it is told nothing.
const DEF_MAX_ALARMS: c_uint = 1000;

/// Raises an alarm, clears it or records a log, as its state and severity say. `FM_ERR_OK` means that it is on
/// this node's disk and will reach the controller. Writes the alarm's uuid (for a clear, the empty text)
/// unless `uuid` is NULL.
///
/// # Safety
/// Pointers are NULL or point to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_set_fault(alarm: *const SFmAlarmDataT, uuid: *mut fm_uuid_t) -> EFmErrorT {
    entry!("fm_set_fault", [alarm], |library| {
        // SAFETY: not null, so it points to an alarm.
        let set = library.client.set(unsafe { alarm::read(alarm) }?)?;
        // SAFETY: null or a uuid's memory.
        unsafe { write_uuid(uuid, &set) };
        Ok(())
    })
}

/// As `fm_set_fault` for each alarm of an array, all of them or, on any error, none.
///
/// # Safety
/// `alarms` points to `count` alarms, or `count` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_set_fault_array(alarms: *const SFmAlarmDataT, count: usize) -> EFmErrorT {
    guard("fm_set_fault_array", |library| {
        // SAFETY: the caller's promise.
        let alarms = unsafe { read_array("alarms", alarms, count, alarm::read) }?;
        if !alarms.is_empty() {
            library.client.set_list(alarms)?;
        }
        Ok(())
    })
}

/// As `fm_set_fault_array`, for a `std::vector` of libstdc++.
///
/// # Safety
/// `alarms` is NULL or points to a vector of alarms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_set_fault_list(alarms: *const Vector<SFmAlarmDataT>) -> EFmErrorT {
    entry!("fm_set_fault_list", [alarms], |library| {
        // SAFETY: not null, so it points to a vector.
        let (first, count) = unsafe { elements("alarms", alarms) }?;
        // SAFETY: the vector's elements.
        let alarms = unsafe { read_array("alarms", first, count, alarm::read) }?;
        if !alarms.is_empty() {
            library.client.set_list(alarms)?;
        }
        Ok(())
    })
}

/// Clears the alarm that the filter names. `FM_ERR_ENTITY_NOT_FOUND` when there is none.
///
/// # Safety
/// `filter` is NULL or points to a filter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_clear_fault(filter: *mut AlarmFilter) -> EFmErrorT {
    entry!("fm_clear_fault", [filter], |library| {
        // SAFETY: not null, so it points to a filter.
        Ok(library.client.clear(unsafe { alarm::read_filter(filter) }?)?)
    })
}

/// Clears every alarm of an entity and of what lies under it. `FM_ERR_ENTITY_NOT_FOUND` when there is none,
/// `FM_ERR_INVALID_PARAMETER` for the empty entity.
///
/// # Safety
/// `inst_id` is NULL or points to an entity's path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_clear_all(inst_id: *mut fm_ent_inst_t) -> EFmErrorT {
    entry!("fm_clear_all", [inst_id], |library| {
        // SAFETY: not null, so it points to a path.
        Ok(library.client.clear_all(&unsafe { text::name("inst_id", inst_id) }?)?)
    })
}

/// Clears the alarms that the filters of an array name, all of them or, on any error, none. Filters that
/// match nothing are no error.
///
/// # Safety
/// `filters` points to `count` filters, or `count` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_clear_fault_array(filters: *const AlarmFilter, count: usize) -> EFmErrorT {
    guard("fm_clear_fault_array", |library| {
        // SAFETY: the caller's promise.
        let keys = unsafe { read_array("filters", filters, count, alarm::read_filter) }?;
        if !keys.is_empty() {
            library.client.clear_list(keys)?;
        }
        Ok(())
    })
}

/// As `fm_clear_fault_array`, for a `std::vector` of libstdc++.
///
/// # Safety
/// `filters` is NULL or points to a vector of filters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_clear_fault_list(filters: *mut Vector<AlarmFilter>) -> EFmErrorT {
    entry!("fm_clear_fault_list", [filters], |library| {
        // SAFETY: not null, so it points to a vector.
        let (first, count) = unsafe { elements("filters", filters) }?;
        // SAFETY: the vector's elements.
        let keys = unsafe { read_array("filters", first, count, alarm::read_filter) }?;
        if !keys.is_empty() {
            library.client.clear_list(keys)?;
        }
        Ok(())
    })
}

/// The alarm with exactly this id and entity. `FM_ERR_ENTITY_NOT_FOUND` when there is none.
///
/// # Safety
/// Pointers are NULL or point to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_get_fault(filter: *mut AlarmFilter, alarm: *mut SFmAlarmDataT) -> EFmErrorT {
    entry!("fm_get_fault", [filter, alarm], |library| {
        // SAFETY: not null, so it points to a filter.
        let found = library.client.get(unsafe { alarm::read_filter(filter) }?)?;
        // SAFETY: not null, so it points to memory for an alarm.
        unsafe { alarm.write_unaligned(alarm::to_c(&found)) };
        Ok(())
    })
}

/// The alarms of an entity and of what lies under it, ordered by time raised. `max` is how many `alarms`
/// holds; afterwards, how many were written. When there are more, `FM_ERR_NOT_ENOUGH_SPACE`, and nothing is
/// written; when there is none, `FM_ERR_ENTITY_NOT_FOUND`, and `max` is 0.
///
/// # Safety
/// Pointers are NULL or point to what their types say, `alarms` to `max` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_get_faults(
    inst_id: *mut fm_ent_inst_t,
    alarms: *mut SFmAlarmDataT,
    max: *mut c_uint,
) -> EFmErrorT {
    entry!("fm_get_faults", [inst_id, alarms, max], |library| {
        // SAFETY: not null, so it points to a path.
        let entity = unsafe { text::name("inst_id", inst_id) }?;
        // SAFETY: not null, so it points to a number.
        let room = unsafe { max.read_unaligned() };
        let found = library.client.list_by_entity(&entity).map_err(Failure::from);
        // SAFETY: the caller's promise.
        unsafe { write_found(found, alarms, max, room) }
    })
}

/// The alarms with this id; otherwise as `fm_get_faults`.
///
/// # Safety
/// Pointers are NULL or point to what their types say, `alarms` to `max` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_get_faults_by_id(
    alarm_id: *mut fm_alarm_id,
    alarms: *mut SFmAlarmDataT,
    max: *mut c_uint,
) -> EFmErrorT {
    entry!("fm_get_faults_by_id", [alarm_id, alarms, max], |library| {
        // SAFETY: not null, so it points to an id.
        let id = unsafe { text::name("alarm_id", alarm_id) }?;
        // SAFETY: not null, so it points to a number.
        let room = unsafe { max.read_unaligned() };
        let found = library.client.list_by_id(&id).map_err(Failure::from);
        // SAFETY: the caller's promise.
        unsafe { write_found(found, alarms, max, room) }
    })
}

/// The alarms with this id, of the entity and of what lies under it; otherwise as `fm_get_faults`, but for a
/// `max` of 0, which means `DEF_MAX_ALARMS`.
///
/// # Safety
/// Pointers are NULL or point to what their types say, `alarms` to `max` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_get_faults_by_id_n_eid(
    filter: *mut AlarmFilter,
    alarms: *mut SFmAlarmDataT,
    max: *mut c_uint,
) -> EFmErrorT {
    entry!("fm_get_faults_by_id_n_eid", [filter, alarms, max], |library| {
        // SAFETY: not null, so it points to a filter.
        let key = unsafe { alarm::read_filter(filter) }?;
        // SAFETY: not null, so it points to a number.
        let room = match unsafe { max.read_unaligned() } {
            0 => DEF_MAX_ALARMS,
            room => room,
        };
        let found = library.client.list_by_id_and_entity(key).map_err(Failure::from);
        // SAFETY: the caller's promise.
        unsafe { write_found(found, alarms, max, room) }
    })
}

/// As `fm_set_fault`, but returns as soon as the request is in the agent's socket: it is taken also when the
/// process ends at once. What goes wrong later is in the agent's log.
///
/// # Safety
/// Pointers are NULL or point to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_set_fault_async(alarm: *const SFmAlarmDataT, uuid: *mut fm_uuid_t) -> EFmErrorT {
    entry!("fm_set_fault_async", [alarm], |library| {
        // SAFETY: not null, so it points to an alarm.
        let set = library.client.set_detached(unsafe { alarm::read(alarm) }?)?;
        // SAFETY: null or a uuid's memory.
        unsafe { write_uuid(uuid, &set) };
        Ok(())
    })
}

/// As `fm_clear_fault`, but returns as soon as the request is in the agent's socket. An alarm that is not
/// there is no error.
///
/// # Safety
/// `filter` is NULL or points to a filter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_clear_fault_async(filter: *mut AlarmFilter) -> EFmErrorT {
    entry!("fm_clear_fault_async", [filter], |library| {
        // SAFETY: not null, so it points to a filter.
        Ok(library.client.clear_detached(unsafe { alarm::read_filter(filter) }?)?)
    })
}

/// As `fm_clear_all`, but returns as soon as the request is in the agent's socket. An entity without alarms is
/// no error.
///
/// # Safety
/// `inst_id` is NULL or points to an entity's path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_clear_all_async(inst_id: *mut fm_ent_inst_t) -> EFmErrorT {
    entry!("fm_clear_all_async", [inst_id], |library| {
        // SAFETY: not null, so it points to a path.
        Ok(library.client.clear_all_detached(&unsafe { text::name("inst_id", inst_id) }?)?)
    })
}

/// Reads the environment now rather than at the first call. There is nothing else to initialise.
#[unsafe(no_mangle)]
pub extern "C" fn fm_init_lib() -> EFmErrorT {
    guard("fm_init_lib", |_library| Ok(()))
}

/// The entry of the central server, which this library does not hold.
#[unsafe(no_mangle)]
pub extern "C" fn fm_server_create(_config_file: *const c_char) -> EFmErrorT {
    guard("fm_server_create", |_library| {
        let message = "the central fault manager is not part of this library: run fm-agent on the node, and \
                       fm-rest-api or fmManager on the controller";
        Err(Failure::new(ErrorCode::InvalidRequest, message))
    })
}

/// Sets how long a call may last from now on, in this process, in milliseconds: sets and clears `write_ms`,
/// the others `read_ms`. 0 brings back what the environment says (`FM_API_TIMEOUT_MS`,
/// `FM_API_READ_TIMEOUT_MS`), else 1000 and 5000.
#[unsafe(no_mangle)]
pub extern "C" fn fm_set_timeout_ms(write_ms: c_uint, read_ms: c_uint) -> EFmErrorT {
    guard("fm_set_timeout_ms", |library| {
        let duration = |ms: c_uint| (ms > 0).then(|| Duration::from_millis(ms.into()));
        library.client.set_timeouts(duration(write_ms), duration(read_ms));
        Ok(())
    })
}

/// What an error code means, in words. Never NULL; the text lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn fm_strerror(code: MaybeUninit<EFmErrorT>) -> *const c_char {
    values::error_text(code).as_ptr()
}

/// Why this thread's last call failed, in words: copies as much as `size` bytes hold into `buffer`, always
/// NUL-terminated, and returns the whole length without the NUL. The empty text when it succeeded.
///
/// # Safety
/// `buffer` has room for `size` bytes, or `size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_last_error_message(buffer: *mut c_char, size: usize) -> usize {
    with_last(|message| {
        if !buffer.is_null() && size > 0 {
            let part = text::cut(message, size - 1);
            // SAFETY: with its NUL no longer than the caller's buffer, which is none of ours.
            unsafe {
                buffer.copy_from_nonoverlapping(part.as_ptr().cast::<c_char>(), part.len());
                buffer.add(part.len()).write(0);
            }
        }
        message.len()
    })
}

/// # Safety
/// `uuid` is null or points to a uuid's memory.
unsafe fn write_uuid(uuid: *mut fm_uuid_t, text: &str) {
    if !uuid.is_null() {
        // SAFETY: as promised.
        unsafe { uuid.write(text::field(text)) };
    }
}

/// The first element of a vector and how many there are.
///
/// # Safety
/// `vector` points to a vector.
unsafe fn elements<T>(name: &str, vector: *const Vector<T>) -> Result<(*const T, usize), Failure> {
    // SAFETY: as promised.
    let Vector { begin, end, .. } = unsafe { vector.read_unaligned() };
    match end.addr().checked_sub(begin.addr()) {
        Some(bytes) if bytes % size_of::<T>() == 0 => Ok((begin, bytes / size_of::<T>())),
        _ => Err(Failure::invalid(format!("{name}: is not a std::vector of libstdc++"))),
    }
}

/// Reads each of `count` elements; a failure names the element.
///
/// # Safety
/// `first` points to as many elements, or is null; `read` may read each.
unsafe fn read_array<C, T>(
    name: &str,
    first: *const C,
    count: usize,
    read: unsafe fn(*const C) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    if count > 0 && first.is_null() {
        return Err(Failure::invalid(format!("{name}: is NULL")));
    }
    let element = |index: usize| {
        // SAFETY: one of the elements, as promised.
        unsafe { read(first.add(index)) }
            .map_err(|failure| Failure::new(failure.code, format!("{name}[{index}].{}", failure.message)))
    };
    (0..count).map(element).collect()
}

/// Answers a read of several alarms.
///
/// # Safety
/// `max` points to a number, `alarms` to memory for `room` alarms.
unsafe fn write_found(
    found: Result<Vec<fm_common::Alarm>, Failure>,
    alarms: *mut SFmAlarmDataT,
    max: *mut c_uint,
    room: c_uint,
) -> Result<(), Failure> {
    let found = found.inspect_err(|failure| {
        if failure.code == ErrorCode::EntityNotFound {
            // SAFETY: as promised.
            unsafe { max.write_unaligned(0) };
        }
    })?;
    let count = match c_uint::try_from(found.len()) {
        Ok(count) if count <= room => count,
        _ => {
            let message = format!("{} alarms match, there is room for {room}", found.len());
            return Err(Failure::new(ErrorCode::NotEnoughSpace, message));
        }
    };
    for (index, one) in found.iter().enumerate() {
        // SAFETY: one of the `room` places.
        unsafe { alarms.add(index).write_unaligned(alarm::to_c(one)) };
    }
    // SAFETY: as promised.
    unsafe { max.write_unaligned(count) };
    Ok(())
}
