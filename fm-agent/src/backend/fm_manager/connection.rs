//! One connection to the manager: how it comes about, and what goes over it.
//!
//! Invariants:
//! - The host's name is looked up at each connection: the controller's address moves between nodes.
//! - Every message leaves in one write, on a socket that delays nothing: two writes cost 40 to 90 ms.
//! - Answers come in the order of the requests. What breaks in between leaves the connection useless:
//!   whoever holds it drops it.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::message::{self, Answer, LENGTH_BYTES, Request};

/// Finds the addresses of a name.
pub(super) trait Resolve: std::fmt::Debug + Send + Sync {
    /// The addresses that the name has now.
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a>;
}

/// What a [`Resolve`] is busy with.
pub(super) type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The system's names.
#[derive(Debug)]
pub(super) struct System;

impl Resolve for System {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// The request has not been sent, or not whole: it has no effect.
    Unsent(String),
    /// It has been sent; it may have been carried out, or may be yet.
    Lost(String),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// When it was used last.
    used: Instant,
}

impl Connection {
    /// Connects to one of the host's addresses, of whatever family, within the limit.
    pub(super) async fn open(
        names: &dyn Resolve,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> Result<Self, String> {
        let place = || format!("{host}:{port}");
        let deadline = Instant::now() + limit;
        let addresses = timeout(limit, names.addresses(host, port))
            .await
            .map_err(|_| format!("{}: the name is not resolved within {} ms", place(), limit.as_millis()))?
            .map_err(|error| format!("{}: the name cannot be resolved: {error}", place()))?;
        connect(&addresses, deadline).await.map_err(|error| format!("{}: {error}", place()))
    }

    /// How long nobody has used it.
    pub(super) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Whether it still stands, and nothing has come that nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends requests, in one write, and takes their answers, all within the limit.
    pub(super) async fn exchange(
        &mut self,
        requests: &[Request],
        limit: Duration,
    ) -> Result<Vec<Answer>, Broken> {
        let mut bytes = Vec::new();
        for request in requests {
            request.write(&mut bytes);
        }
        let what = requests.first().map_or("nothing", Request::what);
        let (mut incoming, mut outgoing) = self.stream.split();
        let send = async {
            let unsent = |error| Broken::Unsent(format!("{what}: cannot be sent: {error}"));
            outgoing.write_all(&bytes).await.map_err(unsent)
        };
        let receive = async {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                let lost = |words: &dyn Display| Broken::Lost(format!("{}: {words}", request.what()));
                let packet = packet(&mut incoming).await.map_err(|words| lost(&words))?;
                answers.push(request.answer(&packet).map_err(Broken::Lost)?);
            }
            Ok(answers)
        };
        let both = async { tokio::try_join!(send, receive) };
        let answers = match timeout(limit, both).await {
            Ok(ended) => ended?.1,
            Err(_) => return Err(Broken::Lost(format!("{what}: no answer within {} ms", limit.as_millis()))),
        };
        self.used = Instant::now();
        Ok(answers)
    }
}

/// Tries one address after the other; each has its share of the time that is left.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<Connection, String> {
    let mut failures = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let ways = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout(left / ways, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| format!("{address}: {error}"))?;
                return Ok(Connection { stream, used: Instant::now() });
            }
            Ok(Err(error)) => failures.push(format!("{}: {error}", address.ip())),
            Err(_) => failures.push(format!("{}: no connection in time", address.ip())),
        }
    }
    if failures.is_empty() { Err("the name has no address".to_owned()) } else { Err(failures.join(", ")) }
}

/// One packet without its length.
pub(super) async fn packet(incoming: &mut (impl AsyncReadExt + Unpin)) -> Result<Vec<u8>, String> {
    let mut length = [0; LENGTH_BYTES];
    incoming.read_exact(&mut length).await.map_err(|error| format!("no answer: {error}"))?;
    let length = message::packet_length(length)?;
    let mut packet = Vec::new();
    // Grows with what comes, not with what is promised.
    let mut promised = incoming.take(u64::try_from(length).unwrap_or(u64::MAX));
    let read = promised.read_to_end(&mut packet).await.map_err(|error| format!("half an answer: {error}"))?;
    if read == length { Ok(packet) } else { Err(format!("half an answer: {read} bytes of {length}")) }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use tokio::net::TcpListener;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn either_family_will_do_and_a_dead_address_is_passed_over() {
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let alive = v6.local_addr().unwrap();
        let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, alive.port()));
        let connection = connect(&[dead, alive], soon()).await.unwrap();
        assert_eq!(connection.stream.peer_addr().unwrap(), alive);
        assert!(connection.stream.nodelay().unwrap());
        let connection =
            Connection::open(&System, "::1", alive.port(), Duration::from_secs(10)).await.unwrap();
        assert_eq!(connection.stream.peer_addr().unwrap(), alive);
    }

    #[tokio::test]
    async fn what_failed_is_said_of_each_address() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let error = connect(&[v4, v6], soon()).await.unwrap_err();
        assert!(error.contains("127.0.0.1: ") && error.contains("::1: "), "{error}");
        assert!(connect(&[], soon()).await.unwrap_err().contains("no address"));
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_named() {
        let error =
            Connection::open(&System, "nowhere.invalid", 8001, Duration::from_secs(10)).await.unwrap_err();
        assert!(error.contains("nowhere.invalid:8001"), "{error}");
    }

    #[tokio::test]
    async fn one_write_a_message() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connection = connect(&[address], soon()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let request = Request::get_by_id("1");
        let exchange = connection.exchange(std::slice::from_ref(&request), Duration::from_millis(300));
        let reading = async {
            let mut bytes = [0; 4096];
            peer.readable().await.unwrap();
            peer.read(&mut bytes).await.unwrap()
        };
        let (answer, read) = tokio::join!(exchange, reading);
        assert_eq!(read, 4 + 16 + 255, "the first read has the whole message");
        assert!(matches!(answer, Err(Broken::Lost(words)) if words.contains("no answer within 300 ms")));
    }

    #[tokio::test]
    async fn a_connection_that_ended_or_has_something_unasked_is_not_quiet() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        for unasked in [true, false] {
            let connection = connect(&[address], soon()).await.unwrap();
            let (mut peer, _) = listener.accept().await.unwrap();
            assert!(connection.is_quiet());
            if unasked {
                peer.write_all(b"x").await.unwrap();
            }
            drop(peer);
            connection.stream.readable().await.unwrap();
            assert!(!connection.is_quiet());
        }
    }
}
