//! One connection: requests in, answers or their faults out.
//!
//! A reset and half an answer are made on the socket itself, after hyper has given it back: the
//! request's future leaves what is to happen in a slot and never ends.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, SERVER, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::port::Mode;
use crate::app::App;
use crate::faults::{Apply, Fault, FaultKind, Service};
use crate::reply::{Refusal, Reply};
use crate::request::{MAX_TARGET_BYTES, Request};
use crate::{api, auth, control, keystone};

const SERVER_NAME: &str = concat!("fm-rest-sim/", env!("CARGO_PKG_VERSION"), " (test equipment)");

/// How a connection ends instead of an answer.
#[derive(Debug)]
enum Abort {
    Reset,
    /// These bytes, then the end.
    Cut(Vec<u8>),
}

#[derive(Debug, Default)]
struct AbortSlot {
    abort: Mutex<Option<Abort>>,
    set: Notify,
}

impl AbortSlot {
    /// Leaves `abort` for the connection and never returns.
    async fn end_with(&self, abort: Abort) -> Infallible {
        *self.abort.lock().unwrap_or_else(PoisonError::into_inner) = Some(abort);
        self.set.notify_one();
        std::future::pending().await
    }
}

/// Serves a connection until it ends or the port closes.
pub(super) async fn serve(
    stream: TcpStream,
    client_port: u16,
    service: Service,
    app: Arc<App>,
    mut modes: watch::Receiver<Mode>,
) {
    // Without it small answers wait for the client's acknowledgement; failing costs time only.
    let _slow = stream.set_nodelay(true);
    let slot = Arc::new(AbortSlot::default());
    let idle = app.config.idle_timeout;
    let handler = {
        let slot = Arc::clone(&slot);
        service_fn(move |request| answer(Arc::clone(&app), service, client_port, Arc::clone(&slot), request))
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), handler);
    loop {
        tokio::select! {
            biased;
            changed = modes.changed() => {
                if changed.is_err() || *modes.borrow_and_update() == Mode::Closed {
                    end(connection.into_parts().io.into_inner(), Abort::Reset).await;
                    return;
                }
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            _ended = &mut connection => return,
            () = slot.set.notified() => {
                let abort = slot.abort.lock().unwrap_or_else(PoisonError::into_inner).take();
                end(connection.into_parts().io.into_inner(), abort.unwrap_or(Abort::Reset)).await;
                return;
            }
        }
    }
}

/// Ends the socket; that the client is gone already is no failure.
async fn end(mut stream: TcpStream, abort: Abort) {
    match abort {
        Abort::Reset => {
            let _gone = stream.set_zero_linger();
        }
        Abort::Cut(bytes) => {
            let _gone = stream.write_all(&bytes).await;
            let _gone = stream.shutdown().await;
        }
    }
}

/// One request from its head to its answer.
async fn answer(
    app: Arc<App>,
    service: Service,
    client_port: u16,
    slot: Arc<AbortSlot>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let chunked = head.headers.contains_key(TRANSFER_ENCODING);
    let body = match body.collect().await {
        Ok(body) if !chunked => body.to_bytes(),
        // The real service counts a chunked body as empty; a broken one never gets this far there.
        _ => Bytes::new(),
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let record = app.requests.begin(service, client_port, head.method.as_str(), &target, &body);
    let decision = app.faults.decide(service, head.method.as_str(), &normal_path(service, head.uri.path()));
    if !decision.delay.is_zero() {
        tokio::time::sleep(decision.delay).await;
    }
    let kind = decision.fault.as_ref().map(|fault| fault.kind);
    let apply = decision.fault.as_ref().map_or(Apply::All, |fault| fault.applied);
    let needs_handler =
        apply != Apply::Nothing || matches!(kind, Some(FaultKind::BrokenJson | FaultKind::HalfAnswer));
    let reply = if needs_handler {
        let app = Arc::clone(&app);
        let (method, uri, headers) = (head.method, head.uri, head.headers);
        tokio::task::spawn_blocking(move || {
            dispatch(&app, service, method, &uri, headers, body.to_vec(), apply)
        })
        .await
        .unwrap_or_else(|_| Refusal::Empty500.into_reply())
    } else {
        Refusal::Empty500.into_reply()
    };
    let reply = match decision.fault {
        Some(fault) => spoil(&app, reply, &fault),
        None => Ok(reply),
    };
    match reply {
        Ok(reply) => {
            app.requests.end(record, Some(reply.status.as_u16()), kind);
            Ok(response(reply))
        }
        Err(abort) => {
            app.requests.end(record, None, kind);
            match abort {
                Some(abort) => match slot.end_with(abort).await {},
                None => std::future::pending().await,
            }
        }
    }
}

fn dispatch(
    app: &App,
    service: Service,
    method: Method,
    uri: &Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    apply: Apply,
) -> Reply {
    if uri.path_and_query().map_or(0, |target| target.as_str().len()) > MAX_TARGET_BYTES {
        return Refusal::UriTooLong.into_reply();
    }
    match Request::new(method, uri, headers, body) {
        Err(refusal) => refusal.into_reply(),
        Ok(request) => match service {
            Service::Fm => api::handle(app, &request, apply),
            Service::Keystone => keystone::handle(app, &request),
        },
    }
}

/// What the fault makes of the answer; `Err(None)` is no answer ever.
fn spoil(app: &App, mut reply: Reply, fault: &Fault) -> Result<Reply, Option<Abort>> {
    match fault.kind {
        FaultKind::Hang => Err(None),
        FaultKind::Reset => Err(Some(Abort::Reset)),
        FaultKind::HalfAnswer => Err(Some(Abort::Cut(half(&reply)))),
        FaultKind::Status if fault.code == 500 && fault.body.is_empty() => Ok(Refusal::Empty500.into_reply()),
        FaultKind::Status => {
            let status = StatusCode::from_u16(fault.code).unwrap_or(StatusCode::BAD_GATEWAY);
            Ok(Reply::foreign(status, &fault.body))
        }
        FaultKind::Unauthorized => Ok(match fault.service {
            Service::Fm => Refusal::Unauthenticated(app.keystone_url()).into_reply(),
            Service::Keystone => keystone::unauthorized(),
        }),
        FaultKind::Forbidden => Ok(auth::forbidden().into_reply()),
        FaultKind::BrokenJson => {
            reply.status = StatusCode::OK;
            reply.content_type = Some("application/json");
            reply.close = false;
            let kept = reply.body.len() / 2;
            reply.body.truncate(kept);
            reply.body.extend_from_slice(b"{\"broken\": ");
            Ok(reply)
        }
        // States and delays have had their effect already.
        FaultKind::Slow | FaultKind::Refuse | FaultKind::DatabaseDown | FaultKind::KeystoneDown => Ok(reply),
    }
}

/// The first half of the answer's bytes: half of the body, or half of the head where there is none.
fn half(reply: &Reply) -> Vec<u8> {
    let mut lines = vec![format!("HTTP/1.1 {}", reply.status), format!("server: {SERVER_NAME}")];
    lines.extend(reply.content_type.map(|content_type| format!("content-type: {content_type}")));
    lines.extend(reply.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("content-length: {}\r\n\r\n", reply.body.len()));
    let mut bytes = lines.join("\r\n").into_bytes();
    if reply.body.is_empty() {
        bytes.truncate(bytes.len() / 2);
    } else {
        bytes.extend_from_slice(&reply.body[..reply.body.len() / 2]);
    }
    bytes
}

/// The path faults are matched with: that of the service begins with exactly one `/v1`.
fn normal_path(service: Service, path: &str) -> String {
    if service == Service::Keystone {
        return path.to_owned();
    }
    let bare = path.strip_prefix("/v1/v1/").or_else(|| path.strip_prefix("/v1/"));
    match bare.or_else(|| path.strip_prefix('/')) {
        Some("" | "v1") | None => path.to_owned(),
        Some(rest) => format!("/v1/{rest}"),
    }
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(reply.status).header(SERVER, SERVER_NAME);
    if let Some(content_type) = reply.content_type {
        builder = builder.header(CONTENT_TYPE, content_type);
    }
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    if reply.close {
        builder = builder.header(CONNECTION, "close");
    }
    builder.body(Full::new(Bytes::from(reply.body))).unwrap_or_else(|_| {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Serves the control port for as long as the runtime lives.
pub(crate) async fn serve_control(listener: TcpListener, app: std::sync::Weak<App>) {
    loop {
        let accepted = listener.accept().await;
        let (Ok((stream, _)), Some(app)) = (accepted, app.upgrade()) else {
            // No descriptors left, say: pause instead of spinning.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let handler = service_fn(move |request| control_answer(Arc::clone(&app), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), handler));
    }
}

async fn control_answer(
    app: Arc<App>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(response(Refusal::Empty500.into_reply())) };
    let body = body.to_bytes().to_vec();
    let reply =
        tokio::task::spawn_blocking(move || match Request::new(head.method, &head.uri, head.headers, body) {
            Ok(request) => control::handle(&app, &request),
            Err(refusal) => refusal.into_reply(),
        })
        .await
        .unwrap_or_else(|_| Refusal::Empty500.into_reply());
    Ok(response(reply))
}
