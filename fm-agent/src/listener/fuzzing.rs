//! The frame reader, opened to the fuzz targets: nothing of it is in the product.

use tokio::io::AsyncRead;

use super::frames::FrameReader;

/// All frames of a stream, each read under the limit of its turn (the last limit holds for all that
/// follow), and why there is not one more; `None` when the stream ended between frames.
pub async fn frames(stream: impl AsyncRead + Unpin, limits: &[usize]) -> (Vec<Vec<u8>>, Option<String>) {
    let mut reader = FrameReader::new(stream);
    let mut frames = Vec::new();
    loop {
        let limit = limits.get(frames.len()).or(limits.last()).copied().unwrap_or_default();
        match reader.next(limit).await {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error.to_string())),
        }
    }
}
