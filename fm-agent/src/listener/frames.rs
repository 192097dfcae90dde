//! Frames off a connection, as they come.
//!
//! Invariants: no memory is taken before bytes have arrived for it, so a length alone costs nothing; a
//! frame that has begun must be complete within a time limit, while between frames a peer may be silent
//! for ever.

use std::io;
use std::time::Duration;

use fm_common::protocol::LENGTH_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

/// How long a frame may take from its first byte to its last.
const FRAME_LIMIT: Duration = Duration::from_secs(10);
/// Memory kept between frames.
const KEPT_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 8 * 1024;

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The peer's frame is longer than this connection may send.
    #[error("a frame of {bytes} bytes was announced, the limit is {limit}")]
    TooLong {
        /// Announced.
        bytes: usize,
        /// Allowed.
        limit: usize,
    },
    /// The peer began a frame and did not finish it.
    #[error("a frame was not complete within {} s", FRAME_LIMIT.as_secs())]
    Slow,
    /// The peer closed in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Cut,
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The reading half of a connection.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    stream: R,
    buffer: Vec<u8>,
    /// When the frame that has begun must be complete.
    due: Option<Instant>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new(), due: None }
    }

    pub(super) fn stream(&self) -> &R {
        &self.stream
    }

    /// The next frame's bytes, without its length; `None` when the peer has closed between frames.
    /// Dropping the future loses nothing: what has arrived is kept for the next call.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            if let Some(frame) = self.take(limit)? {
                return Ok(Some(frame));
            }
            if self.buffer.capacity() - self.buffer.len() < READ_BYTES && !self.buffer.is_empty() {
                self.buffer.reserve(READ_BYTES);
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let bytes = match self.due {
                Some(due) => timeout_at(due, read).await.map_err(|_| FrameError::Slow)??,
                None => read.await?,
            };
            match (bytes, self.buffer.is_empty()) {
                (0, true) => return Ok(None),
                (0, false) => return Err(FrameError::Cut),
                _ => self.due = self.due.or_else(|| Some(Instant::now() + FRAME_LIMIT)),
            }
        }
    }

    /// Takes the first frame off the buffer, if it is complete.
    fn take(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = u32::from_le_bytes(*length) as usize;
        if bytes > limit {
            return Err(FrameError::TooLong { bytes, limit });
        }
        if rest.len() < bytes {
            return Ok(None);
        }
        let frame = rest[..bytes].to_vec();
        self.buffer.drain(..LENGTH_BYTES + bytes);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        self.due = (!self.buffer.is_empty()).then(|| Instant::now() + FRAME_LIMIT);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
        frame.extend_from_slice(payload);
        frame
    }

    #[tokio::test(start_paused = true)]
    async fn frames_come_whole_however_they_are_cut() {
        let (mut peer, stream) = tokio::io::duplex(7);
        let sender = tokio::spawn(async move {
            let mut bytes = frame(b"first");
            bytes.extend(frame(b""));
            bytes.extend(frame(&[9; 1000]));
            for piece in bytes.chunks(3) {
                peer.write_all(piece).await.unwrap();
            }
        });
        let mut frames = FrameReader::new(stream);
        assert_eq!(frames.next(1000).await.unwrap().unwrap(), b"first");
        assert_eq!(frames.next(1000).await.unwrap().unwrap(), b"");
        assert_eq!(frames.next(1000).await.unwrap().unwrap(), [9; 1000]);
        assert!(frames.next(1000).await.unwrap().is_none());
        sender.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_over_the_limit_costs_nothing() {
        let (mut peer, stream) = tokio::io::duplex(64);
        peer.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
        let mut frames = FrameReader::new(stream);
        assert!(matches!(frames.next(1000).await, Err(FrameError::TooLong { limit: 1000, .. })));
        assert!(frames.buffer.capacity() <= 2 * READ_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_begun_must_end_while_silence_may_last() {
        let (mut peer, stream) = tokio::io::duplex(64);
        let mut frames = FrameReader::new(stream);
        let silent = tokio::time::timeout(Duration::from_hours(1), frames.next(1000)).await;
        assert!(silent.is_err(), "an idle peer is let alone");
        peer.write_all(&[5, 0, 0, 0, 1]).await.unwrap();
        assert!(matches!(frames.next(1000).await, Err(FrameError::Slow)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_in_the_middle_is_an_error() {
        let (mut peer, stream) = tokio::io::duplex(64);
        peer.write_all(&[5, 0, 0, 0, 1]).await.unwrap();
        drop(peer);
        assert!(matches!(FrameReader::new(stream).next(1000).await, Err(FrameError::Cut)));
    }
}
