//! The agent's frame reader and the hello: a stream of any bytes in pieces of any size.
//!
//! An input is four bytes that say how the stream is cut and what a frame may have, then the stream.
#![no_main]

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use fm_agent::listener::fuzzing::frames;
use fm_common::protocol::{LENGTH_BYTES, MAGIC, MAX_HELLO_BYTES, VERSION, codec};
use fm_fuzz::{said, within};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// A stream that gives its bytes in pieces, and every second time nothing yet.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: [usize; 2],
    turn: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.turn += 1;
        if self.turn.is_multiple_of(4) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = self.sizes[self.turn % 2].min(buf.remaining()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(most);
        buf.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// The frames that the protocol says there are, and whether the stream then ends as it may.
fn expected(mut stream: &[u8], limits: [usize; 2]) -> (Vec<Vec<u8>>, bool) {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<LENGTH_BYTES>() {
        let bytes = u32::from_le_bytes(*length) as usize;
        if bytes > limits[frames.len().min(1)] || rest.len() < bytes {
            return (frames, false);
        }
        frames.push(rest[..bytes].to_vec());
        stream = &rest[bytes..];
    }
    (frames, stream.is_empty())
}

/// What a first frame is: a hello that can be written again, or an error in words.
fn greet(first: &[u8]) {
    // A text of a hello can claim up to 32 KiB before it is found that they are not there.
    match within(40 * 1024, || codec::decode_hello(first)) {
        Ok(hello) => {
            let mut frame = Vec::new();
            codec::encode_hello(&mut frame, &hello).expect("what fits into a frame fits again");
            let again = codec::decode_hello(&frame[LENGTH_BYTES..]).expect("what was written can be read");
            assert_eq!(again, hello);
            let known = hello.magic == MAGIC && hello.version == VERSION;
            assert!(!known || frame[LENGTH_BYTES..].starts_with(&MAGIC), "a hello begins with its magic");
        }
        Err(error) => drop(said(&error)),
    }
    if let Ok(answer) = codec::decode_hello_answer(first) {
        let mut frame = Vec::new();
        codec::encode_hello_answer(&mut frame, &answer).expect("what fits into a frame fits again");
        assert_eq!(codec::decode_hello_answer(&frame[LENGTH_BYTES..]).expect("it can be read"), answer);
    }
}

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

fuzz_target!(|input: &[u8]| {
    let Some(([first, second, most, more], stream)) = input.split_first_chunk() else { return };
    let limits = [MAX_HELLO_BYTES, usize::from(*most) << (more % 9)];
    let pieces =
        Pieces { rest: stream, sizes: [usize::from(*first) + 1, usize::from(*second) * 16 + 1], turn: 0 };
    let (given, ended) = RUNTIME.with_borrow(|runtime| {
        // What has arrived, twice, the frames themselves, and what a read takes at a time.
        within(4 * stream.len() + 64 * 1024, || runtime.block_on(frames(pieces, &limits)))
    });
    let (wanted, well) = expected(stream, limits);
    assert_eq!(given, wanted);
    assert_eq!(ended.is_none(), well, "{ended:?}");
    if let Some(error) = ended {
        said(&error);
    }
    if let Some(first) = given.first() {
        greet(first);
    }
});
