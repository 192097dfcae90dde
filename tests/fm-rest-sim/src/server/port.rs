//! A port that is closed and opened again on demand.
//!
//! Invariant: the port number stays this process's own while it is closed. A second socket, bound
//! but never listening, holds it: a connect is refused, and nobody else is given the number.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
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
    openings: AtomicU64,
    _reservation: TcpSocket,
}

#[derive(Debug)]
struct Running {
    opening: u64,
    mode: watch::Sender<Mode>,
    ended: mpsc::Receiver<()>,
}

impl Port {
    /// Takes `address` without listening yet; port 0 takes a free one.
    pub(crate) fn reserve(service: Service, address: SocketAddr, runtime: Handle) -> io::Result<Self> {
        let reservation = bound(address)?;
        let address = reservation.local_addr()?;
        Ok(Self {
            service,
            address,
            runtime,
            running: Mutex::default(),
            openings: AtomicU64::new(0),
            _reservation: reservation,
        })
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
        *running = Some(Running { opening: self.openings.fetch_add(1, Ordering::Relaxed), mode, ended });
        Ok(())
    }

    /// Stops listening and resets every connection; on return the port refuses.
    pub(crate) fn close(&self) {
        end(self.lock().take());
    }

    /// The same, unless the port has been opened anew since.
    fn close_opening(&self, opening: u64) {
        end(self.lock().take_if(|running| running.opening == opening));
    }

    /// Ends like the real service at SIGTERM: new connections hang for `hang`, then are refused.
    pub(crate) fn drain(&self, app: &Arc<App>, hang: Duration) {
        let running = self.lock();
        let Some(Running { opening, mode, .. }) = running.as_ref() else { return };
        mode.send_replace(Mode::Draining);
        let opening = *opening;
        let app = Arc::clone(app);
        let service = self.service;
        self.runtime.spawn(async move {
            tokio::time::sleep(hang).await;
            // Closing waits for the listener's task, so it must not hold up a worker.
            tokio::task::spawn_blocking(move || app.port(service).close_opening(opening));
        });
    }
}

/// Ends a listener and waits until its socket is closed.
fn end(running: Option<Running>) {
    let Some(running) = running else { return };
    running.mode.send_replace(Mode::Closed);
    // An error means that the listener is gone already.
    let _gone = running.ended.recv();
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
        // Only here is a mode seen, so that none can be missed between two waits.
        let mode = *modes.borrow_and_update();
        if mode == Mode::Closed {
            break;
        }
        tokio::select! {
            biased;
            changed = modes.changed() => {
                if changed.is_err() {
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
