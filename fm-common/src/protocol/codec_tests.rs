//! Golden vectors of protocol version 1, and what a reader does with bytes that are none.

use proptest::prelude::*;

use super::*;
use crate::alarm::{Alarm, AlarmKey};
use crate::error::ErrorCode;
use crate::protocol::{Answer, Refusal};
use crate::timestamp::Timestamp;
use crate::values::{AlarmType, ProbableCause, Severity};

fn alarm() -> Alarm {
    Alarm {
        uuid: Some("6ba7b810-9dad-11d1-80b4-00c04fd430c8".into()),
        timestamp: Some(Timestamp::from_micros(1_795_341_600_500_000)),
        reason_text: "Ä ###".into(),
        service_affecting: true,
        ..Alarm::new(
            "100.101",
            "host",
            "host=c1",
            Severity::Major,
            AlarmType::Operational,
            ProbableCause::ThresholdCrossed,
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn request_frame(request: &Request) -> Vec<u8> {
    let header = RequestHeader { id: 7, timeout_ms: 1000, detached: false, token: [0xAB; 16] };
    let mut frame = Vec::new();
    encode_request(&mut frame, &header, request).unwrap();
    assert_eq!(decode_request_header(&frame[4..]).unwrap().0, header);
    assert_eq!(&decode_request(decode_request_header(&frame[4..]).unwrap().1).unwrap(), request);
    frame
}

/// The bytes that every request of the tests begins with: id 7, 1000 ms, not detached, the token.
const HEADER: &str = "07fbe80300abababababababababababababababab";

#[test]
fn requests_are_frozen() {
    let key = || AlarmKey::new("100.101", "host=c1");
    let key_hex = "073130302e31303107686f73743d6331";
    let alarm_hex = concat!(
        "01", // a uuid follows
        "2436626137623831302d396461642d313164312d383062342d303063303466643433306338",
        "073130302e313031",                             // alarm_id
        "03736574",                                     // alarm_state
        "04686f7374",                                   // entity_type_id
        "07686f73743d6331",                             // entity_instance_id
        "01fd4052b214b5c10c00",                         // timestamp
        "056d616a6f72",                                 // severity
        "06c38420232323",                               // reason_text
        "156f7065726174696f6e616c2d76696f6c6174696f6e", // alarm_type
        "117468726573686f6c642d63726f73736564",         // probable_cause
        "00",                                           // repair action
        "01000000"                                      // flags
    );
    let entity_hex = "07686f73743d6331";
    for (request, body) in [
        (Request::Set(alarm()), format!("00{alarm_hex}")),
        (Request::SetList(vec![alarm()]), format!("0101{alarm_hex}")),
        (Request::Clear(key()), format!("02{key_hex}")),
        (Request::ClearAll { entity_instance_id: "host=c1".into() }, format!("03{entity_hex}")),
        (Request::ClearList(vec![key()]), format!("0401{key_hex}")),
        (Request::Get(key()), format!("05{key_hex}")),
        (Request::ListByEntity { entity_instance_id: "host=c1".into() }, format!("06{entity_hex}")),
        (Request::ListById { alarm_id: "100.101".into() }, "07073130302e313031".to_owned()),
        (Request::ListByIdAndEntity(key()), format!("08{key_hex}")),
        (Request::Ping, "09".to_owned()),
        (Request::Status, "0a".to_owned()),
        (Request::Rejected { after: 3, most: 100 }, "0b0664".to_owned()),
        (Request::Replay { seq: 300 }, "0cfb5802".to_owned()),
        (Request::Drop { seq: 7 }, "0d0e".to_owned()),
        (
            Request::Explain {
                alarm_id: "100.101".into(),
                entity_type_id: "host".into(),
                entity_instance_id: "host=c1".into(),
            },
            "0e073130302e31303104686f737407686f73743d6331".to_owned(),
        ),
        (Request::Resync { domain: "platform".into() }, "0f08706c6174666f726d".to_owned()),
        (
            Request::Queue { domain: "platform".into(), after: 3, most: 100 },
            "1008706c6174666f726d0664".to_owned(),
        ),
        (
            Request::View {
                alarm_id: "100.101".into(),
                entity_instance_id: String::new(),
                after: Some(key()),
                most: 100,
            },
            format!("11073130302e3130310001{key_hex}64"),
        ),
        (
            Request::View {
                alarm_id: String::new(),
                entity_instance_id: "host=c1".into(),
                after: None,
                most: 1,
            },
            format!("1100{entity_hex}0001"),
        ),
        (Request::Watch { run: 300, after: 2, most: 100 }, "12fb2c010264".to_owned()),
    ] {
        let frame = request_frame(&request);
        let length = u32::try_from(frame.len() - 4).unwrap();
        assert_eq!(hex(&frame), format!("{}{HEADER}{body}", hex(&length.to_le_bytes())), "{request:?}");
    }
}

#[test]
fn answers_are_frozen() {
    for (response, golden) in [
        (Ok(Answer::Done), "03000000070000"),
        (Ok(Answer::Uuid("u".into())), "0500000007000101 75"),
        (Ok(Answer::Uuids(vec!["u".into(), String::new()])), "070000000700020201 7500"),
        (Ok(Answer::Alarms(Vec::new())), "0400000007000400"),
        (Ok(Answer::Status("{}".into())), "06000000070005027b7d"),
        (Ok(Answer::Json("{}".into())), "06000000070006027b7d"),
        (Err(Refusal::new(ErrorCode::EntityNotFound, "none")), "080000000701 0a 046e6f6e65"),
    ] {
        let mut frame = Vec::new();
        encode_response(&mut frame, 7, &response).unwrap();
        assert_eq!(hex(&frame), golden.replace(' ', ""), "{response:?}");
        assert_eq!(decode_response(&frame[4..]).unwrap(), (7, response));
    }
    let mut frame = Vec::new();
    let response = Ok(Answer::Alarm(Box::new(alarm())));
    encode_response(&mut frame, 7, &response).unwrap();
    assert!(hex(&frame[4..]).starts_with("07000301243662"));
    assert_eq!(decode_response(&frame[4..]).unwrap(), (7, response));
}

#[test]
fn hellos_are_frozen() {
    let mut frame = Vec::new();
    encode_hello(&mut frame, &Hello::new("mtcAgent")).unwrap();
    assert_eq!(hex(&frame), "0e000000464d414701086d74634167656e74");
    for (answer, golden) in [
        (HelloAnswer::Welcome { version: 1, agent: "0.1.0".into() }, "08000000000105302e312e30"),
        (HelloAnswer::Refused(Refusal::new(ErrorCode::InvalidRequest, "no")), "050000000107026e6f"),
    ] {
        let mut frame = Vec::new();
        encode_hello_answer(&mut frame, &answer).unwrap();
        assert_eq!(hex(&frame), golden);
        assert_eq!(decode_hello_answer(&frame[4..]).unwrap(), answer);
    }
}

#[test]
fn a_request_of_a_later_kind_still_has_its_id() {
    let frame = request_frame(&Request::Ping);
    let mut later = frame[4..].to_vec();
    *later.last_mut().unwrap() = 0xC8;
    let (header, body) = decode_request_header(&later).unwrap();
    assert_eq!(header.id, 7);
    assert!(matches!(decode_request(body), Err(CodecError::Decode(_))));
}

#[test]
fn a_length_inside_a_frame_allocates_nothing_it_has_not() {
    // A list that claims 2^60 alarms, then ends.
    let body = [1, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0x10];
    assert!(matches!(decode_request(&body), Err(CodecError::Decode(_))));
}

#[test]
fn a_short_frame_gets_little_memory_whatever_it_claims() {
    let hello = [b"FMAG\x01".as_slice(), &[0xFC, 0, 0, 0x80, 0]].concat();
    let ping = [&[0x07; 21][..], &[7, 0xFC, 0, 0, 0x80, 0]].concat();
    for refused in [decode_hello(&hello).map(drop), decode_request(&ping[21..]).map(drop)] {
        let limit = matches!(refused, Err(CodecError::Decode(bincode::error::DecodeError::LimitExceeded)));
        assert!(limit, "8 MiB are claimed in a frame of few bytes: {refused:?}");
    }
}

#[test]
fn what_fits_into_a_frame_can_be_read_from_it() {
    // The shortest texts: what bincode counts is furthest from the bytes of the frame.
    let keys = vec![AlarmKey::new("1", ""); MAX_FRAME_BYTES / 16];
    let sent = Request::ClearList(keys);
    let mut frame = Vec::new();
    let header = RequestHeader { id: 1, timeout_ms: 1, detached: false, token: [0; 16] };
    encode_request(&mut frame, &header, &sent).unwrap();
    let (_, body) = decode_request_header(&frame[4..]).unwrap();
    assert!(decode_request(body).unwrap() == sent);
}

#[test]
fn invalid_utf8_and_left_over_bytes_are_errors() {
    assert!(decode_request(&[7, 2, 0xC3, 0x28]).unwrap_err().is_invalid_text());
    assert!(!decode_request(&[7, 9, 0xC3, 0x28]).unwrap_err().is_invalid_text());
    assert!(matches!(decode_request(&[9, 0]), Err(CodecError::LeftOver(1))));
}

#[test]
fn a_message_too_long_for_a_frame_is_refused_and_leaves_no_trace() {
    let long = Request::ListById { alarm_id: "x".repeat(MAX_FRAME_BYTES + 1) };
    let header = RequestHeader { id: 1, timeout_ms: 1, detached: false, token: [0; 16] };
    let mut frame = vec![1, 2, 3];
    assert!(encode_request(&mut frame, &header, &long).is_err());
    assert_eq!(frame, [1, 2, 3]);
}

proptest! {
    #[test]
    fn any_text_travels(reason in any::<String>(), entity in any::<String>(), micros in any::<i64>()) {
        let sent = Alarm {
            reason_text: reason,
            entity_instance_id: entity,
            timestamp: Some(Timestamp::from_micros(micros)),
            ..alarm()
        };
        request_frame(&Request::Set(sent));
    }

    #[test]
    fn garbage_is_an_error_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_hello(&bytes);
        let _ = decode_hello_answer(&bytes);
        let _ = decode_response(&bytes);
        if let Ok((_, body)) = decode_request_header(&bytes) {
            let _ = decode_request(body);
        }
    }
}

#[test]
fn a_list_is_weighed_by_its_first_bytes() {
    let weight = |request: &Request| {
        let header = RequestHeader { id: u64::MAX, timeout_ms: u32::MAX, detached: true, token: [255; 16] };
        let mut frame = Vec::new();
        encode_request(&mut frame, &header, request).unwrap();
        let payload = &frame[LENGTH_BYTES..];
        let weight = weigh(&payload[..payload.len().min(WEIGHED_BYTES)], payload.len());
        assert!(weight.places == weight.entries || weight.places == 16);
        (weight.places, weight.bytes - payload.len())
    };
    let clears = weight(&Request::ClearList(vec![AlarmKey::new("1", "a"); 70_000]));
    assert_eq!(clears, (70_000, 70_000 * size_of::<AlarmKey>()));
    let sets = weight(&Request::SetList(vec![alarm(); 5]));
    assert_eq!(sets, (5, 5 * size_of::<Alarm>()));
    for one in [Request::Set(alarm()), Request::Clear(AlarmKey::new("1", "a")), Request::Ping] {
        assert_eq!(weight(&one), (1, 0));
    }
    for list in [
        Request::ListByEntity { entity_instance_id: "a".to_owned() },
        Request::ListById { alarm_id: "1".to_owned() },
        Request::ListByIdAndEntity(AlarmKey::new("1", "a")),
    ] {
        assert_eq!(weight(&list), (16, 0), "{list:?}");
    }
    assert_eq!(weight(&Request::Get(AlarmKey::new("1", "a"))), (1, 0));
    // A length that lies, and bytes that are nothing.
    let header = RequestHeader { id: 1, timeout_ms: 1, detached: false, token: [0; 16] };
    let mut lie = Vec::new();
    append(&mut lie, &header).unwrap();
    lie.extend([4, 253, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(weigh(&lie, lie.len()).entries, lie.len());
    assert_eq!(weigh(&[], 7), Weight { entries: 1, places: 1, bytes: 7 });
    assert_eq!(weigh(&[255; 64], 64), Weight { entries: 1, places: 1, bytes: 64 });
}
