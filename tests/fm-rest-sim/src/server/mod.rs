//! The sockets: ports that can refuse and come back, and connections that can break.

mod connection;
mod port;

pub(crate) use connection::serve_control;
pub(crate) use port::Port;
