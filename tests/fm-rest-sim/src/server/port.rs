//! A port that is closed and opened again on demand.
//!
//! Invariant: the port number stays this process's own while it is closed. A second socket, bound
//! but never listening, holds it: a connect is refused, and nobody else is given the number.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::connection;
use crate::app::App;
use crate::faults::Service;

/// What the listener and its connections are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Accept and serve.
    Open,
    /// Accept no more; requests under way end, idle connections close.
    Draining,
    /// End, reset every connection.
    Closed,
}

/// One port of the stand-in.
#[derive(Debug)]
pub(crate) struct Port {
    service: Service,
    address: SocketAddr,
    runtime: Handle,
    running: Mutex<Option<Running>>,
    _reservation: TcpSocket,
}

#[derive(Debug)]
struct Running {
    mode: watch::Sender<Mode>,
    ended: mpsc::Receiver<()>,
}

impl Port {
    /// Takes `address` without listening yet; port 0 takes a free one.
    pub(crate) fn reserve(service: Service, address: SocketAddr, runtime: Handle) -> io::Result<Self> {
        let reservation = bound(address)?;
        let address = reservation.local_addr()?;
        Ok(Self { service, address, runtime, running: Mutex::default(), _reservation: reservation })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens, unless it does already.
    pub(crate) fn open(&self, app: &Arc<App>) -> io::Result<()> {
        let mut running = self.lock();
        if running.is_some() {
            return Ok(());
        }
        let _context = self.runtime.enter();
        let listener = bound(self.address)?.listen(1024)?;
        let (mode, modes) = watch::channel(Mode::Open);
        let (end, ended) = mpsc::channel();
        self.runtime.spawn(accept(listener, self.service, Arc::downgrade(app), modes, end));
        *running = Some(Running { mode, ended });
        Ok(())
    }

    /// Stops listening and resets every connection; on return the port refuses.
    pub(crate) fn close(&self) {
        let Some(running) = self.lock().take() else { return };
        running.mode.send_replace(Mode::Closed);
        // An error means that the listener is gone already.
        let _gone = running.ended.recv();
    }

    /// Ends like the real service at SIGTERM: new connections hang for `hang`, then are refused.
    pub(crate) fn drain(&self, app: &Arc<App>, hang: Duration) {
        if let Some(running) = self.lock().as_ref() {
            running.mode.send_replace(Mode::Draining);
        }
        let app = Arc::clone(app);
        let service = self.service;
        self.runtime.spawn(async move {
            tokio::time::sleep(hang).await;
            // Closing waits for the listener's task, so it must not hold up a worker.
            tokio::task::spawn_blocking(move || app.port(service).close());
        });
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(
    listener: TcpListener,
    service: Service,
    app: std::sync::Weak<App>,
    mut modes: watch::Receiver<Mode>,
    end: mpsc::Sender<()>,
) {
    loop {
        let mode = *modes.borrow_and_update();
        tokio::select! {
            biased;
            changed = modes.changed() => {
                if changed.is_err() || *modes.borrow() == Mode::Closed {
                    break;
                }
            }
            accepted = listener.accept(), if mode == Mode::Open => {
                // A failed accept concerns a client that is gone already.
                let (Ok((stream, peer)), Some(app)) = (accepted, app.upgrade()) else { continue };
                tokio::spawn(connection::serve(stream, peer.port(), service, app, modes.clone()));
            }
        }
    }
    drop(listener);
    // An error means that nobody waits for it.
    let _unwatched = end.send(());
}
