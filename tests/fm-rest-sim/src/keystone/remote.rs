//! Tokens checked at a real Keystone, as the real service's middleware does it.
//!
//! One plain HTTP/1.0 exchange over a blocking socket: handlers run on threads that may block. A token asks
//! about itself, which Keystone allows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::tokens::{Identity, TokenCheck};
use crate::timestamp::now_us;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the Keystone at `address` says of a token.
pub(crate) fn check(address: SocketAddr, token: &str) -> TokenCheck {
    match ask(address, token) {
        Ok((200, body)) => identity(&body).map_or(TokenCheck::KeystoneDown, TokenCheck::Valid),
        Ok((401 | 404, _)) => TokenCheck::Invalid,
        Ok(_) | Err(_) => TokenCheck::KeystoneDown,
    }
}

fn ask(address: SocketAddr, token: &str) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /v3/auth/tokens?nocatalog HTTP/1.0\r\nHost: {address}\r\nX-Auth-Token: {token}\r\nX-Subject-Token: {token}\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let broken = || std::io::Error::other("no HTTP answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

fn identity(body: &Value) -> Option<Identity> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let roles = body.pointer("/token/roles").and_then(Value::as_array).into_iter().flatten();
    Some(Identity {
        user: text("/token/user/name")?,
        project: text("/token/project/name"),
        roles: roles.filter_map(|role| role["name"].as_str().map(str::to_owned)).collect(),
        audit_id: text("/token/audit_ids/0")?,
        issued_at_us: now_us(),
        expires_at_us: text("/token/expires_at")?.parse::<jiff::Timestamp>().ok()?.as_microsecond(),
    })
}
