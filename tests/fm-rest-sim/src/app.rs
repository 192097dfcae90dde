//! What every request handler shares: configuration, database, Keystone, faults, logs, ports.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::SimError;
use crate::config::SimConfig;
use crate::faults::{Fault, FaultId, FaultKind, Faults, Service};
use crate::keystone::Keystone;
use crate::requests::RequestLog;
use crate::server::{Port, serve_control};
use crate::settings::Settings;
use crate::store::Store;

/// The stand-in's state.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: SimConfig,
    pub(crate) store: Store,
    pub(crate) keystone: Keystone,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    pub(crate) settings: Settings,
    fm: Port,
    identity: Port,
    control: Option<SocketAddr>,
}

impl App {
    /// Opens the database and the ports.
    pub(crate) fn start(config: SimConfig, runtime: &Handle) -> Result<Arc<Self>, SimError> {
        let listen = |address, source| SimError::Listen { address, source };
        let reserve = |service, address| {
            Port::reserve(service, address, runtime.clone()).map_err(|error| listen(address, error))
        };
        let fm = reserve(Service::Fm, config.listen)?;
        let identity = reserve(Service::Keystone, config.keystone_listen)?;
        let control = match config.control_listen {
            Some(address) => {
                Some(control_listener(address, runtime).map_err(|error| listen(address, error))?)
            }
            None => None,
        };
        let app = Arc::new(Self {
            store: Store::open(&config).map_err(|error| SimError::Database(error.to_string()))?,
            keystone: Keystone::new(&config),
            faults: Faults::new(config.seed),
            requests: RequestLog::default(),
            settings: Settings::new(&config),
            control: control.as_ref().map(|(_, address)| *address),
            fm,
            identity,
            config,
        });
        for port in [&app.fm, &app.identity] {
            port.open(&app).map_err(|error| listen(port.address(), error))?;
        }
        if let Some((listener, _)) = control {
            runtime.spawn(serve_control(listener, Arc::downgrade(&app)));
        }
        Ok(app)
    }

    /// The service's base URL, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.fm.address())
    }

    /// Keystone's base URL, with `/v3`.
    pub(crate) fn keystone_url(&self) -> String {
        format!("http://{}/v3", self.identity.address())
    }

    /// The control port's URL, when there is one.
    pub(crate) fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    pub(crate) fn port(&self, service: Service) -> &Port {
        match service {
            Service::Fm => &self.fm,
            Service::Keystone => &self.identity,
        }
    }

    /// Puts a fault in force; a state has its effect on return.
    pub(crate) fn add_fault(self: &Arc<Self>, fault: Fault) -> Result<FaultId, SimError> {
        let id = self.faults.add(fault);
        self.follow_states()?;
        Ok(id)
    }

    /// Ends a fault; `false` when it was over already.
    pub(crate) fn remove_fault(self: &Arc<Self>, id: FaultId) -> Result<bool, SimError> {
        let removed = self.faults.remove(id);
        self.follow_states()?;
        Ok(removed)
    }

    /// Ends every fault for which `wanted` holds.
    pub(crate) fn remove_faults(self: &Arc<Self>, wanted: impl Fn(&Fault) -> bool) -> Result<(), SimError> {
        self.faults.remove_where(wanted);
        self.follow_states()
    }

    /// Makes ports, database and Keystone what the states in force say.
    fn follow_states(self: &Arc<Self>) -> Result<(), SimError> {
        let refuses = |service| self.faults.state(FaultKind::Refuse, service);
        let either =
            |kind| self.faults.state(kind, Service::Fm) || self.faults.state(kind, Service::Keystone);
        self.store.set_down(either(FaultKind::DatabaseDown));
        // The service reaches Keystone by the same way as everybody.
        self.keystone.set_down(either(FaultKind::KeystoneDown) || refuses(Service::Keystone));
        for service in [Service::Fm, Service::Keystone] {
            let port = self.port(service);
            if refuses(service) {
                port.close();
            } else {
                port.open(self).map_err(|source| SimError::Listen { address: port.address(), source })?;
            }
        }
        Ok(())
    }

    /// Ends like the real service at SIGTERM; a restart brings it back.
    pub(crate) fn terminate(self: &Arc<Self>, hang: Duration) {
        // The state keeps other changes from opening the port again.
        self.faults.add(Fault::new(FaultKind::Refuse));
        self.fm.drain(self, hang);
    }

    /// Serves again on the same port, having forgotten which tokens were good.
    pub(crate) fn restart(self: &Arc<Self>) -> Result<(), SimError> {
        self.keystone.forget_checked();
        self.fm.close();
        self.remove_faults(|fault| fault.kind == FaultKind::Refuse && fault.service == Service::Fm)
    }

    /// Closes the ports for good.
    pub(crate) fn close(&self) {
        self.fm.close();
        self.identity.close();
    }
}

fn control_listener(address: SocketAddr, runtime: &Handle) -> io::Result<(TcpListener, SocketAddr)> {
    let _context = runtime.enter();
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}
