//! The manager's messages and forms, opened to the fuzz targets: nothing of it is in the product.

use fm_common::Alarm;
use tokio::io::AsyncRead;

use super::adapt;
use super::connection;
use super::layout;
use super::message::Request;

/// What an answer says, read as an answer to each kind of question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The return code.
    pub code: u32,
    /// The uuid, if it has one.
    pub uuid: Option<String>,
    /// The alarm, if it is one.
    pub alarm: Option<Alarm>,
    /// The alarms, if they are a list.
    pub alarms: Option<Vec<Alarm>>,
}

/// The requests that the agent makes about an alarm.
fn requests(alarm: &Alarm) -> [Request; 7] {
    let (id, entity) = (alarm.alarm_id.as_str(), alarm.entity_instance_id.as_str());
    [
        Request::create(alarm, alarm.uuid.as_deref().unwrap_or_default()),
        Request::delete(id, entity),
        Request::get(id, entity),
        Request::get_by_entity(entity),
        Request::get_by_id(id),
        Request::get_by_id_and_entity(id, entity),
        Request::delete_list([(id, entity), (id, "")].into_iter()),
    ]
}

/// Reads a packet off a stream: a length and so many bytes.
pub async fn packet(mut stream: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    connection::packet(&mut stream).await
}

/// Reads a packet as the answer to each kind of request.
pub fn answers(packet: &[u8]) -> [Result<Said, String>; 7] {
    let alarm = layout::read_alarm(&[0; layout::ALARM_BYTES]);
    requests(&alarm).map(|request| {
        let answer = request.answer(packet)?;
        Ok(Said { code: answer.code, uuid: answer.uuid(), alarm: answer.alarm(), alarms: answer.alarms() })
    })
}

/// The whole messages that ask about an alarm, lengths included.
pub fn written(alarm: &Alarm) -> Vec<Vec<u8>> {
    let written = |request: &Request| {
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        bytes
    };
    requests(alarm).iter().map(written).collect()
}

/// An alarm's bytes, read back.
pub fn there_and_back(alarm: &Alarm) -> Option<Alarm> {
    let bytes = layout::alarm(alarm, alarm.uuid.as_deref().unwrap_or_default());
    bytes.as_array().map(layout::read_alarm)
}

/// An alarm in the form that the manager holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// As it is sent.
    pub alarm: Alarm,
    /// As the manager gives it back.
    pub view: Alarm,
    /// Its uuid as it is sent.
    pub uuid: String,
    /// The fields that had to be changed.
    pub changes: Vec<&'static str>,
}

/// The form of an alarm at the manager.
pub fn hold(alarm: &Alarm, uuid: &str) -> Result<Held, String> {
    let adapt::Held { alarm, view, uuid, changes } = adapt::hold(alarm, uuid)?;
    Ok(Held { alarm, view, uuid, changes })
}
