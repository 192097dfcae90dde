//! Requests to the manager over a few connections that are kept.
//!
//! Invariants:
//! - A connection is used by one request at a time, and again only after it brought a whole answer. When one
//!   breaks, those that lie idle go too: what ended it has ended them.
//! - What may change something is sent once. A question is asked once more on a new connection when a kept
//!   one fails: it has no effect.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::{Broken, Connection, Resolve, System};
use super::message::{Answer, Request};
use crate::backend::Failure;
use crate::config::FmManagerConfig;

/// How long a connection may lie idle: the controller's address may have moved without a word.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// One manager.
#[derive(Debug)]
pub(super) struct Client {
    names: Box<dyn Resolve>,
    host: String,
    port: u16,
    connect_limit: Duration,
    read_limit: Duration,
    most_idle: usize,
    idle: Mutex<Vec<Connection>>,
}

impl Client {
    /// The manager that the configuration names; at most so many connections are kept. Nothing is connected
    /// yet.
    pub(super) fn new(config: &FmManagerConfig, most_idle: usize) -> Self {
        Self {
            names: Box::new(System),
            host: config.host.as_str().to_owned(),
            port: config.port,
            connect_limit: config.connect_timeout_ms.duration(),
            read_limit: config.read_timeout_ms.duration(),
            most_idle,
            idle: Mutex::default(),
        }
    }

    /// Sends what may change something.
    pub(super) async fn tell(&self, request: &Request) -> Result<Answer, Broken> {
        let mut answers = match self.kept() {
            Some(kept) => match self.exchange(kept, std::slice::from_ref(request)).await {
                Err(Broken::Unsent(_)) => self.anew(std::slice::from_ref(request)).await?,
                answered => answered?,
            },
            None => self.anew(std::slice::from_ref(request)).await?,
        };
        // There are as many answers as requests.
        answers.pop().ok_or_else(|| Broken::Lost(self.at("no answer")))
    }

    /// Asks questions, at once; there are as many answers, in the same order.
    pub(super) async fn ask(&self, requests: &[Request]) -> Result<Vec<Answer>, Failure> {
        if let Some(kept) = self.kept()
            && let Ok(answers) = self.exchange(kept, requests).await
        {
            return Ok(answers);
        }
        self.anew(requests).await.map_err(|broken| match broken {
            Broken::Unsent(words) | Broken::Lost(words) => Failure::unavailable(words),
        })
    }

    /// Words with the manager they are about.
    fn at(&self, words: &str) -> String {
        format!("fm-manager at {}:{}: {words}", self.host, self.port)
    }

    async fn anew(&self, requests: &[Request]) -> Result<Vec<Answer>, Broken> {
        let connection = Connection::open(&*self.names, &self.host, self.port, self.connect_limit)
            .await
            .map_err(|words| Broken::Unsent(format!("fm-manager cannot be reached at {words}")))?;
        self.exchange(connection, requests).await
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        requests: &[Request],
    ) -> Result<Vec<Answer>, Broken> {
        match connection.exchange(requests, self.read_limit).await {
            Ok(answers) => {
                self.keep(connection);
                Ok(answers)
            }
            Err(broken) => {
                self.lock().clear();
                Err(match broken {
                    Broken::Unsent(words) => Broken::Unsent(self.at(&words)),
                    Broken::Lost(words) => Broken::Lost(self.at(&words)),
                })
            }
        }
    }

    /// A connection that is good for another request.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|connection| connection.idle() < LONGEST_IDLE && connection.is_quiet());
        idle.pop()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < self.most_idle {
            idle.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use fm_manager_sim::{ManagerConfig, ManagerSim};

    use super::super::connection::Lookup;
    use super::*;

    /// A name whose address moves.
    #[derive(Debug, Clone)]
    struct Moving(Arc<Mutex<IpAddr>>);

    impl Resolve for Moving {
        fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
            assert_eq!(host, "controller");
            let address = SocketAddr::from((*self.0.lock().unwrap(), port));
            Box::pin(async move { Ok(vec![address]) })
        }
    }

    /// A manager at this address of the loopback network; port 0 takes a free one.
    fn manager(last: u8, port: u16) -> ManagerSim {
        let listen = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        ManagerSim::start(ManagerConfig { listen, ..ManagerConfig::default() }).unwrap()
    }

    #[tokio::test]
    async fn the_name_is_looked_up_again_when_its_address_has_moved() {
        let first = manager(1, 0);
        let port = first.address().port();
        let second = manager(2, port);
        let names = Moving(Arc::new(Mutex::new(first.address().ip())));
        let config = FmManagerConfig { port, ..FmManagerConfig::default() };
        let client = Client { names: Box::new(names.clone()), ..Client::new(&config, 2) };
        let question = [Request::get_by_id("100.101")];

        client.ask(&question).await.unwrap();
        assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
        // The controller goes to the other node: the connection that was kept ends, the next goes there.
        *names.0.lock().unwrap() = second.address().ip();
        drop(first);
        client.ask(&question).await.unwrap();
        assert_eq!(second.requests().len(), 1);
        client.ask(&question).await.unwrap();
        assert_eq!(second.requests().len(), 2);
    }
}
