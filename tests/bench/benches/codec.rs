//! A set, a list and an answer to bytes and back.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails must stop")]

mod alarms;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fm_common::protocol::codec;
use fm_common::protocol::{Answer, Request, RequestHeader};

use alarms::alarm;

fn codec(criterion: &mut Criterion) {
    let header = RequestHeader { id: 7, timeout_ms: 1000, detached: false, token: [7; 16] };
    for (name, request) in [
        ("set", Request::Set(alarm(1))),
        ("set list of 1000", Request::SetList((0..1000).map(alarm).collect())),
    ] {
        let mut frame = Vec::new();
        criterion.bench_function(&format!("encode {name}"), |bencher| {
            bencher.iter(|| {
                frame.clear();
                codec::encode_request(&mut frame, &header, black_box(&request)).unwrap();
                frame.len()
            });
        });
        let payload = &frame[4..];
        criterion.bench_function(&format!("decode {name}"), |bencher| {
            bencher.iter(|| {
                let (header, body) = codec::decode_request_header(black_box(payload)).unwrap();
                (header, codec::decode_request(body).unwrap())
            });
        });
    }
    let response = Ok(Answer::Uuid("3f0f4d0e-7c1b-4a57-9b0d-1c5f8f0e2a11".to_owned()));
    criterion.bench_function("encode and decode the answer of a set", |bencher| {
        let mut frame = Vec::new();
        bencher.iter(|| {
            frame.clear();
            codec::encode_response(&mut frame, 7, black_box(&response)).unwrap();
            codec::decode_response(&frame[4..]).unwrap()
        });
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
