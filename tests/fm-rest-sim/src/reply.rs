//! Answers in the shapes of the real service, and the refusals that become one.
//!
//! Five error shapes exist: the parser's (`faultcode`), the titled one, Keystone's 401, the 503 and
//! the empty 500 that closes the connection.

use hyper::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::store::StoreError;

const JSON: &str = "application/json";

/// An answer before it goes on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection ends after it.
    pub(crate) close: bool,
}

impl Reply {
    fn new(status: StatusCode, content_type: Option<&'static str>, body: Vec<u8>) -> Self {
        Self { status, content_type, headers: Vec::new(), body, close: false }
    }

    /// Marks the answer as one of the service's own, which carries a request id.
    fn identified(mut self) -> Self {
        self.headers.push(("x-openstack-request-id", format!("req-{}", Uuid::new_v4())));
        self
    }

    /// `value` as a JSON body, without a request id: Keystone's and the control port's form.
    pub(crate) fn plain_json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, Some(JSON), value.to_string().into_bytes())
    }

    /// 200 with `value` as the body.
    pub(crate) fn ok(value: &Value) -> Self {
        Self::plain_json(StatusCode::OK, value).identified()
    }

    /// 204 without a body.
    pub(crate) fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None, Vec::new()).identified()
    }

    /// Any status with any body: what a proxy in front may say.
    pub(crate) fn foreign(status: StatusCode, body: &str) -> Self {
        let content_type = if body.is_empty() { None } else { Some("text/html") };
        Self::new(status, content_type, body.as_bytes().to_vec())
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Why a request is not served; each becomes one of the five error shapes.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The parser's shape with 4xx: `faultcode` is `Client`.
    Client(StatusCode, String),
    /// The parser's shape with 500: `faultcode` is `Server`.
    Server(String),
    /// The titled shape.
    Titled(StatusCode, &'static str),
    /// No valid token; names Keystone's address.
    Unauthenticated(String),
    /// Keystone cannot be asked.
    KeystoneDown,
    /// A failure inside POST or PUT: empty, and the connection closes.
    Empty500,
    /// A failure before the answer has a shape: empty, the connection stays.
    UriTooLong,
}

impl Refusal {
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::Client(StatusCode::BAD_REQUEST, text.into())
    }

    pub(crate) fn into_reply(self) -> Reply {
        match self {
            Self::Client(status, text) => fault(status, "Client", &text),
            Self::Server(text) => fault(StatusCode::INTERNAL_SERVER_ERROR, "Server", &text),
            Self::Titled(status, description) => titled(status, description),
            Self::Unauthenticated(keystone) => Reply::plain_json(
                StatusCode::UNAUTHORIZED,
                &json!({"error": {"code": 401, "title": "Unauthorized",
                    "message": "The request you have made requires authentication."}}),
            )
            .identified()
            .header("www-authenticate", format!("Keystone uri=\"{keystone}\"")),
            Self::KeystoneDown => Reply::plain_json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"message": "The server is currently unavailable. Please try again at a later time.",
                    "code": "503 Service Unavailable", "title": "Service Unavailable"}),
            )
            .identified(),
            Self::Empty500 => {
                let mut reply = Reply::new(StatusCode::INTERNAL_SERVER_ERROR, Some("text/plain"), Vec::new());
                reply.close = true;
                reply
            }
            Self::UriTooLong => {
                let mut reply = Reply::new(StatusCode::URI_TOO_LONG, None, Vec::new()).identified();
                reply.close = true;
                reply
            }
        }
    }
}

/// What a failed statement means outside POST and PUT.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AlarmNotFound(_) | StoreError::EventNotFound(_) => {
                Self::Client(StatusCode::NOT_FOUND, error.to_string())
            }
            other => Self::Server(other.to_string()),
        }
    }
}

fn fault(status: StatusCode, code: &str, text: &str) -> Reply {
    error_message(status, &json!({"faultcode": code, "faultstring": text, "debuginfo": null}))
}

fn titled(status: StatusCode, description: &str) -> Reply {
    let title = status.canonical_reason().unwrap_or_default();
    error_message(status, &json!({"code": status.as_u16(), "title": title, "description": description}))
}

/// The error's JSON as a text inside JSON.
fn error_message(status: StatusCode, inner: &Value) -> Reply {
    Reply::plain_json(status, &json!({"error_message": inner.to_string()})).identified()
}
