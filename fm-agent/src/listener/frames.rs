//! Frames off a connection, as they come.
//!
//! Invariants: no memory is taken before bytes have arrived for it, so a length alone costs nothing, and a
//! long frame is held once; a frame that has begun must be complete within a time limit, while between frames
//! a peer may be silent for ever.

use std::io;
use std::time::Duration;

use fm_common::protocol::LENGTH_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

/// How long a frame may take from its first byte to its last.
const FRAME_LIMIT: Duration = Duration::from_secs(10);
/// Memory kept between frames, for thousands of idle peers.
const KEPT_BYTES: usize = 2 * READ_BYTES;
/// Bytes read at once at least, if they are there: a usual request.
const READ_BYTES: usize = 1024;

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
    pub(super) async fn next(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        match self.announced(limit, 0).await? {
            Some(bytes) => self.payload(bytes).await.map(Some),
            None => Ok(None),
        }
    }

    /// The length of the next frame, as soon as so many bytes of it are there, or all; `None` when the peer
    /// has closed between frames.
    pub(super) async fn announced(
        &mut self,
        limit: usize,
        start: usize,
    ) -> Result<Option<usize>, FrameError> {
        if !self.fill(LENGTH_BYTES).await? {
            return Ok(None);
        }
        let mut length = [0; LENGTH_BYTES];
        length.copy_from_slice(&self.buffer[..LENGTH_BYTES]);
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > limit {
            return Err(FrameError::TooLong { bytes, limit });
        }
        self.fill(LENGTH_BYTES + bytes.min(start)).await?;
        Ok(Some(bytes))
    }

    /// The first bytes of the announced frame, as many as are there.
    pub(super) fn start(&self, bytes: usize) -> &[u8] {
        let rest = &self.buffer[LENGTH_BYTES..];
        &rest[..rest.len().min(bytes)]
    }

    /// Gives the announced frame its time anew: it was not its peer that was waited for.
    pub(super) fn forgive(&mut self) {
        self.due = Some(Instant::now() + FRAME_LIMIT);
    }

    /// The announced frame, without its length.
    pub(super) async fn payload(&mut self, bytes: usize) -> Result<Vec<u8>, FrameError> {
        let end = LENGTH_BYTES + bytes;
        self.fill(end).await?;
        let frame = if self.buffer.len() == end && end > KEPT_BYTES {
            // A long frame is not held twice.
            let mut whole = std::mem::take(&mut self.buffer);
            whole.drain(..LENGTH_BYTES);
            whole
        } else {
            let frame = self.buffer[LENGTH_BYTES..end].to_vec();
            self.buffer.drain(..end);
            frame
        };
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        self.due = (!self.buffer.is_empty()).then(|| Instant::now() + FRAME_LIMIT);
        Ok(frame)
    }

    /// Reads until so many bytes are there; false when the peer has closed before the first of them.
    async fn fill(&mut self, wanted: usize) -> Result<bool, FrameError> {
        while self.buffer.len() < wanted {
            let missing = wanted - self.buffer.len();
            // As much as has come already, so that a length alone costs nothing; of a long frame not a byte
            // more than it has.
            let room = missing.min(self.buffer.len().max(READ_BYTES)).max(READ_BYTES);
            if !self.buffer.is_empty() && self.buffer.capacity() - self.buffer.len() < room {
                self.buffer.reserve_exact(room);
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let bytes = match self.due {
                Some(due) => timeout_at(due, read).await.map_err(|_| FrameError::Slow)??,
                None => read.await?,
            };
            match (bytes, self.buffer.is_empty()) {
                (0, true) => return Ok(false),
                (0, false) => return Err(FrameError::Cut),
                _ => self.due = self.due.or_else(|| Some(Instant::now() + FRAME_LIMIT)),
            }
        }
        Ok(true)
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
    async fn a_long_frame_is_held_once_and_left_for_the_next() {
        const LONG: usize = 300_000;
        let (mut peer, stream) = tokio::io::duplex(10_000);
        let sender = tokio::spawn(async move {
            peer.write_all(&[frame(&vec![7; LONG]), frame(b"next")].concat()).await.unwrap();
        });
        let mut frames = FrameReader::new(stream);
        assert_eq!(frames.announced(LONG, 64).await.unwrap(), Some(LONG));
        assert!(frames.start(64) == [7; 64] && frames.buffer.capacity() <= 4 * READ_BYTES);
        let long = frames.payload(LONG).await.unwrap();
        assert!(long == vec![7; LONG] && long.capacity() <= LONG + 2 * READ_BYTES, "{}", long.capacity());
        assert_eq!(frames.next(LONG).await.unwrap().unwrap(), b"next");
        assert!(frames.buffer.capacity() <= KEPT_BYTES);
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
