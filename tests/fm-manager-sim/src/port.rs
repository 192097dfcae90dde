//! The port, closed and opened again on demand.
//!
//! Invariant: the port number stays this process's own while it is closed. A second socket, bound but never
//! listening, holds it: a connect is refused, and nobody else is given the number.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::serve::{App, serve};

#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    runtime: Handle,
    running: Mutex<Option<Running>>,
    /// Listeners that are about to end.
    ending: Mutex<Vec<mpsc::Receiver<()>>>,
    _reservation: TcpSocket,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    ended: mpsc::Receiver<()>,
}

impl Port {
    /// Takes `address` without listening yet; port 0 takes a free one.
    pub(crate) fn reserve(address: SocketAddr, runtime: Handle) -> io::Result<Self> {
        let reservation = bound(address)?;
        let address = reservation.local_addr()?;
        Ok(Self {
            address,
            runtime,
            running: Mutex::default(),
            ending: Mutex::default(),
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
        self.await_end();
        let _context = self.runtime.enter();
        let listener = bound(self.address)?.listen(1024)?;
        let stop = CancellationToken::new();
        let (end, ended) = mpsc::channel();
        self.runtime.spawn(accept(listener, Arc::downgrade(app), stop.clone(), end));
        *running = Some(Running { stop, ended });
        Ok(())
    }

    /// Stops listening and resets every connection; on return the port refuses.
    pub(crate) fn close(&self) {
        self.cut();
        self.await_end();
    }

    /// The same without waiting for the end.
    pub(crate) fn cut(&self) {
        if let Some(running) = self.lock().take() {
            running.stop.cancel();
            self.endings().push(running.ended);
        }
    }

    fn await_end(&self) {
        for ended in self.endings().drain(..) {
            // An error means that the listener is gone already.
            let _gone = ended.recv();
        }
    }

    fn endings(&self) -> MutexGuard<'_, Vec<mpsc::Receiver<()>>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, app: Weak<App>, stop: CancellationToken, end: mpsc::Sender<()>) {
    let mut connection = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => {
                // A failed accept concerns a client that is gone already.
                let (Ok((stream, _)), Some(app)) = (accepted, app.upgrade()) else { continue };
                connection += 1;
                tokio::spawn(serve(stream, connection, app, stop.clone()));
            }
        }
    }
    drop(listener);
    // An error means that nobody waits for it.
    let _unwatched = end.send(());
}
