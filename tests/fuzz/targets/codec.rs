//! Requests and responses: any bytes of a frame are a message that can be written again, or an error.
#![no_main]

use fm_common::protocol::codec::{self, CodecError};
use fm_common::protocol::{Answer, LENGTH_BYTES, Request, Response};
use fm_common::{Alarm, ErrorCode};
use fm_fuzz::{said, within};
use libfuzzer_sys::fuzz_target;

/// What a frame of so many bytes may cost: an alarm of the shortest form takes some thirty times its bytes,
/// and a list is given room for a mebibyte at a time.
fn enough(bytes: usize) -> usize {
    bytes * 64 + (2 << 20)
}

fn request(payload: &[u8]) {
    let (header, body) = match codec::decode_request_header(payload) {
        Ok(read) => read,
        Err(error) => return drop(said(&error)),
    };
    let request = match within(enough(body.len()), || codec::decode_request(body)) {
        Ok(request) => request,
        Err(error) => {
            said(&error);
            return assert!(!error.is_invalid_text() || !body.is_ascii(), "no byte of it is to blame");
        }
    };
    let mut frame = b"before".to_vec();
    codec::encode_request(&mut frame, &header, &request).expect("what came in a frame fits into one");
    let again = frame.strip_prefix(b"before").expect("what was there is left alone");
    assert_eq!(
        again[..LENGTH_BYTES],
        u32::try_from(again.len() - LENGTH_BYTES).expect("short").to_le_bytes()
    );
    let (same, body) = codec::decode_request_header(&again[LENGTH_BYTES..]).expect("a header");
    assert_eq!(same, header);
    assert_eq!(codec::decode_request(body).expect("what was written can be read"), request);
    let more = [body, &[0]].concat();
    assert!(matches!(codec::decode_request(&more), Err(CodecError::LeftOver(1))));
    assert!(!request.kind().is_empty());
    match &request {
        Request::Set(alarm) => laws(alarm),
        Request::SetList(alarms) => alarms.iter().for_each(laws),
        _ => {}
    }
}

/// What holds for an alarm, whoever wrote it.
fn laws(alarm: &Alarm) {
    assert!(alarm.same_content(alarm));
    assert_eq!(alarm.key(), alarm.clone().key());
    if let Err(error) = alarm.validate() {
        said(&error);
        assert!(!error.field.is_empty());
    } else {
        alarm.key().validate().expect("what may be raised has a key that may be asked for");
    }
}

fn response(payload: &[u8]) {
    let (id, response): (u64, Response) =
        match within(enough(payload.len()), || codec::decode_response(payload)) {
            Ok(read) => read,
            Err(error) => return drop(said(&error)),
        };
    let mut frame = Vec::new();
    codec::encode_response(&mut frame, id, &response).expect("what came in a frame fits into one");
    assert_eq!(
        codec::decode_response(&frame[LENGTH_BYTES..]).expect("it can be read"),
        (id, response.clone())
    );
    match &response {
        Ok(Answer::Alarms(alarms)) => alarms.iter().for_each(laws),
        Ok(_) => {}
        Err(refusal) => {
            said(refusal);
            assert_eq!(ErrorCode::from_number(refusal.code.number()), Some(refusal.code));
        }
    }
}

fuzz_target!(|payload: &[u8]| {
    request(payload);
    response(payload);
});
