//! Serving the metrics over HTTP, on a port or a Unix socket.
//!
//! Invariants:
//! - `GET /metrics` gives them, `GET /` says where they are, all else is refused.
//! - A reader that is slow or silent costs its own connection and nothing else; few are served at once.
//! - It must not hold up the agent: it starts nothing that outlives `stop`.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::MetricsAddress;

/// What a reader gets: the text, or why there is none.
pub type Scraped = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// The content type of Prometheus' text form.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Readers served at once.
const READERS: usize = 8;
/// How long a reader may take to ask, and how long it may stay.
const ASK_LIMIT: Duration = Duration::from_secs(5);
const STAY_LIMIT: Duration = Duration::from_mins(1);
/// A pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, std::path::PathBuf),
}

/// The socket on which the metrics are served.
#[derive(Debug)]
pub(super) struct Server {
    socket: Socket,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// An address that is in use or not to be had.
    pub(super) async fn bind(address: &MetricsAddress) -> io::Result<Self> {
        let socket = match address {
            MetricsAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                if !address.ip().is_loopback() {
                    tracing::warn!(%address, "the metrics can be read from other machines");
                }
                Socket::Tcp(listener)
            }
            MetricsAddress::Unix(path) => {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                let listener = UnixListener::bind(path)?;
                // Figures only: whoever reaches the directory may read them.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
                Socket::Unix(listener, path.clone())
            }
        };
        Ok(Self { socket })
    }

    /// The address in use.
    pub(super) fn address(&self) -> io::Result<MetricsAddress> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => MetricsAddress::Tcp(listener.local_addr()?),
            Socket::Unix(_, path) => MetricsAddress::Unix(path.clone()),
        })
    }

    /// Serves readers until `stop`.
    pub(super) async fn run(
        self,
        scrape: impl Fn() -> Scraped + Send + Sync + 'static,
        stop: CancellationToken,
    ) {
        let scrape: Arc<dyn Fn() -> Scraped + Send + Sync> = Arc::new(scrape);
        let (readers, places) = (TaskTracker::new(), Arc::new(Semaphore::new(READERS)));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                accepted = accept(&self.socket) => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok(stream) => {
                    let (scrape, stop) = (Arc::clone(&scrape), stop.clone());
                    readers.spawn(async move {
                        tokio::select! {
                            served = timeout(STAY_LIMIT, serve(stream, scrape)) => {
                                if let Ok(Err(error)) = served {
                                    tracing::debug!(%error, "a reader of the metrics has gone");
                                }
                            }
                            () = stop.cancelled() => {}
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a reader of the metrics could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        readers.close();
        readers.wait().await;
        if let Socket::Unix(_, path) = &self.socket
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, path = %path.display(), "the metrics' socket could not be removed");
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn accept(socket: &Socket) -> io::Result<Box<dyn Stream>> {
    Ok(match socket {
        Socket::Tcp(listener) => Box::new(listener.accept().await?.0),
        Socket::Unix(listener, _) => Box::new(listener.accept().await?.0),
    })
}

async fn serve(
    stream: Box<dyn Stream>,
    scrape: Arc<dyn Fn() -> Scraped + Send + Sync>,
) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let scrape = Arc::clone(&scrape);
        async move { Ok::<_, Infallible>(answer(&request, &*scrape).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASK_LIMIT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(
    request: &Request<Incoming>,
    scrape: &(dyn Fn() -> Scraped + Send + Sync),
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    match request.uri().path() {
        "/metrics" => match scrape().await {
            Ok(metrics) => text(StatusCode::OK, metrics),
            Err(reason) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")),
        },
        "/" => text(StatusCode::OK, "fm-agent: the metrics are at /metrics\n".to_owned()),
        _ => text(StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}
