//! A request taken apart: path segments, query parameters, headers, body.

use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{HeaderMap, Method, StatusCode, Uri};

use crate::reply::Refusal;

/// Longest request target the real web server takes, in bytes.
pub(crate) const MAX_TARGET_BYTES: usize = 8192;

/// A request as the handlers see it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Percent-decoded, without empty ones.
    pub(crate) segments: Vec<String>,
    /// Decoded query parameters in their order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    /// Empty when the request was chunked: the real service does not read those.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Takes `uri` apart; text that is no UTF-8 is refused.
    pub(crate) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Vec<u8>) -> Result<Self, Refusal> {
        let segments = uri
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| decode(segment, false))
            .collect::<Result<_, _>>()?;
        let query = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name, true)?, decode(value, true)?))
            })
            .collect::<Result<_, Refusal>>()?;
        Ok(Self { method, segments, query, headers, body })
    }

    /// The text of a header, `None` when it is missing or no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type of the body, in lower case, without parameters.
    pub(crate) fn media_type(&self) -> String {
        let text = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The media types the client accepts; none given means all.
    pub(crate) fn accepts(&self) -> Vec<String> {
        self.header(ACCEPT.as_str())
            .unwrap_or("*/*")
            .split(',')
            .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .collect()
    }

    /// The last value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A boolean parameter: any text but the empty one is true, `false` too.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| !value.is_empty())
    }

    /// Refuses parameters whose name is not in `known`.
    pub(crate) fn only_parameters(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::bad_request(format!("Unknown argument: \"{name}\""))),
            None => Ok(()),
        }
    }
}

fn decode(text: &str, plus_is_space: bool) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            (b'+', _) if plus_is_space => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad_utf8())
}

/// The answer to bytes that are no UTF-8, in the URL or in the body.
pub(crate) fn bad_utf8() -> Refusal {
    Refusal::Titled(StatusCode::BAD_REQUEST, "The request contains bytes that are not valid UTF-8.")
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}
