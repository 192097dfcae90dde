//! Alarms and filters of C to the model and back.
//!
//! Invariant: a clear reads its key only; nothing reads the uuid. Callers leave the others uninitialised.

use std::mem::MaybeUninit;

use fm_common::entity::canonical;
use fm_common::{Alarm, AlarmKey, AlarmState, AlarmType, ProbableCause, Severity, Timestamp};

use crate::abi::{AlarmFilter, FMTimeT, SFmAlarmDataT};
use crate::failure::Failure;
use crate::{text, values};

/// The last microsecond of the year 9999: later ones have no text form.
const LAST_MICROSECOND: u64 = 253_402_300_799_999_999;

/// An alarm to be sent.
///
/// # Safety
/// The fields that the alarm's state asks for are readable; the pointer need not be aligned.
pub(crate) unsafe fn read(c: *const SFmAlarmDataT) -> Result<Alarm, Failure> {
    // SAFETY: each pointer is to a field of the caller's struct, which is readable when the state asks for
    // it; no reference is made, and numbers are read whatever their alignment.
    unsafe {
        let alarm_state = values::state(values::number(&raw const (*c).alarm_state))?;
        let alarm_id = text::name("alarm_id", &raw const (*c).alarm_id)?;
        let entity = text::name("entity_instance_id", &raw const (*c).entity_instance_id)?;
        if alarm_state == AlarmState::Clear {
            let (kind, cause) = (AlarmType::Unknown, ProbableCause::Unknown);
            let clear = Alarm::new(alarm_id, "", &entity, Severity::Clear, kind, cause);
            let clear = Alarm { alarm_state, ..clear };
            clear.validate()?;
            return Ok(clear);
        }
        let alarm = Alarm {
            uuid: None,
            alarm_id,
            alarm_state,
            entity_type_id: text::name("entity_type_id", &raw const (*c).entity_type_id)?,
            entity_instance_id: canonical(&entity).to_owned(),
            timestamp: timestamp((&raw const (*c).timestamp).read_unaligned())?,
            severity: values::severity(values::number(&raw const (*c).severity))?,
            reason_text: text::words("reason_text", &raw const (*c).reason_text)?,
            alarm_type: values::alarm_type(values::number(&raw const (*c).alarm_type))?,
            probable_cause: values::cause(values::number(&raw const (*c).probable_cause))?,
            proposed_repair_action: text::words(
                "proposed_repair_action",
                &raw const (*c).proposed_repair_action,
            )?,
            service_affecting: (*c).service_affecting != 0,
            suppression: (*c).suppression != 0,
            inhibit_alarms: (*c).inhibit_alarms != 0,
            keep_existing_alarm: (*c).keep_existing_alarm != 0,
        };
        alarm.validate()?;
        Ok(alarm)
    }
}

fn timestamp(micros: FMTimeT) -> Result<Option<Timestamp>, Failure> {
    match i64::try_from(micros) {
        Ok(0) => Ok(None),
        Ok(signed) if micros <= LAST_MICROSECOND => Ok(Some(Timestamp::from_micros(signed))),
        _ => Err(Failure::invalid(format!("timestamp: {micros} µs lies after the year 9999"))),
    }
}

/// A filter to be sent.
///
/// # Safety
/// Both fields are readable.
pub(crate) unsafe fn read_filter(c: *const AlarmFilter) -> Result<AlarmKey, Failure> {
    // SAFETY: both fields are readable, as promised.
    let (alarm_id, entity) = unsafe {
        (
            text::name("alarm_id", &raw const (*c).alarm_id)?,
            text::name("entity_instance_id", &raw const (*c).entity_instance_id)?,
        )
    };
    let key = AlarmKey::new(alarm_id, &entity);
    key.validate()?;
    Ok(key)
}

/// An alarm as callers get it: what C cannot hold is cut, or comes as the nearest enumerator.
pub(crate) fn to_c(alarm: &Alarm) -> SFmAlarmDataT {
    SFmAlarmDataT {
        uuid: text::field(alarm.uuid.as_deref().unwrap_or_default()),
        alarm_id: text::field(&alarm.alarm_id),
        alarm_state: MaybeUninit::new(values::state_to_c(&alarm.alarm_state)),
        entity_type_id: text::field(&alarm.entity_type_id),
        entity_instance_id: text::field(&alarm.entity_instance_id),
        timestamp: alarm.timestamp.and_then(|time| FMTimeT::try_from(time.as_micros()).ok()).unwrap_or(0),
        severity: MaybeUninit::new(values::severity_to_c(&alarm.severity)),
        reason_text: text::field(&alarm.reason_text),
        alarm_type: MaybeUninit::new(values::type_to_c(&alarm.alarm_type)),
        probable_cause: MaybeUninit::new(values::cause_to_c(&alarm.probable_cause)),
        proposed_repair_action: text::field(&alarm.proposed_repair_action),
        service_affecting: alarm.service_affecting.into(),
        suppression: alarm.suppression.into(),
        inhibit_alarms: alarm.inhibit_alarms.into(),
        keep_existing_alarm: alarm.keep_existing_alarm.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::ErrorCode;

    fn alarm() -> Alarm {
        Alarm {
            uuid: Some("9a1f4b52-5a0e-4c3a-8d52-3f1de8a3c2b1".to_owned()),
            timestamp: Some(Timestamp::from_micros(1_795_341_600_500_000)),
            reason_text: "disk ä ### full#".to_owned(),
            proposed_repair_action: "replace it".to_owned(),
            service_affecting: true,
            keep_existing_alarm: true,
            ..Alarm::new(
                "200.006",
                "host",
                "host=c-1",
                Severity::Major,
                AlarmType::Equipment,
                ProbableCause::FileError,
            )
        }
    }

    fn read_back(c: &SFmAlarmDataT) -> Result<Alarm, Failure> {
        // SAFETY: a whole struct.
        unsafe { read(c) }
    }

    #[test]
    fn there_and_back() {
        let back = read_back(&to_c(&alarm())).unwrap();
        assert_eq!(back, Alarm { uuid: None, ..alarm() });
    }

    #[test]
    fn every_bad_field_is_refused_by_its_name() {
        type Spoil = fn(&mut SFmAlarmDataT);
        let cases: [(&str, Spoil); 12] = [
            ("alarm_id", |c| c.alarm_id = text::field("")),
            ("alarm_id", |c| c.alarm_id = [1; 255]),
            ("entity_instance_id", |c| c.entity_instance_id = [1; 255]),
            ("entity_type_id", |c| c.entity_type_id = [1; 255]),
            ("reason_text", |c| c.reason_text = [1; 255]),
            ("proposed_repair_action", |c| c.proposed_repair_action = [1; 255]),
            ("alarm_state", |c| poke(&raw mut c.alarm_state, 4)),
            ("severity", |c| poke(&raw mut c.severity, 5)),
            ("alarm_type", |c| poke(&raw mut c.alarm_type, u32::MAX)),
            ("probable_cause", |c| poke(&raw mut c.probable_cause, 75)),
            ("timestamp", |c| c.timestamp = u64::MAX),
            ("timestamp", |c| c.timestamp = LAST_MICROSECOND + 1),
        ];
        for (field, spoil) in cases {
            let mut c = to_c(&alarm());
            spoil(&mut c);
            let failure = read_back(&c).unwrap_err();
            assert_eq!(failure.code, ErrorCode::InvalidParameter);
            assert!(failure.message.starts_with(&format!("{field}: ")), "{}", failure.message);
        }
    }

    fn poke<E>(field: *mut MaybeUninit<E>, number: u32) {
        // SAFETY: an enumeration has four bytes, and any of their values may lie there.
        unsafe { field.cast::<u32>().write(number) };
    }

    #[test]
    fn a_clear_reads_its_key_only() {
        let mut c = SFmAlarmDataT { alarm_state: to_c(&alarm()).alarm_state, ..to_c(&alarm()) };
        poke(&raw mut c.alarm_state, 0);
        poke(&raw mut c.severity, 77);
        poke(&raw mut c.probable_cause, 77);
        c.reason_text = [1; 255];
        c.uuid = [1; 255];
        c.timestamp = u64::MAX;
        assert_eq!(read_back(&c).unwrap().key(), alarm().key());
    }

    #[test]
    fn no_time_means_now() {
        let none = Alarm { timestamp: None, ..alarm() };
        assert_eq!(to_c(&none).timestamp, 0);
        assert_eq!(read_back(&to_c(&none)).unwrap().timestamp, None);
    }
}
