//! **Test equipment.** A stand-in of the central manager, fm-manager, on its socket protocol.
//!
//! It behaves as the manager was observed to behave (2026-06), the quirks included: deletes by prefix with
//! live wildcards, reads that wait for a poll, uuids of another table, an event log that is written late
//! and lost with the process. On top of that it fails on demand. It must not be 'improved': where it is
//! odd, the manager is.
//!
//! ```no_run
//! use fm_manager_sim::{Action, Fault, FaultKind, ManagerConfig, ManagerSim};
//!
//! let sim = ManagerSim::start(ManagerConfig::default())?;
//! sim.add_fault(Fault::new(FaultKind::Reset).applied().on(Action::Create).times(3));
//! // … let a client talk to sim.address() …
//! assert_eq!(sim.alarms().len(), 1);
//! # Ok::<(), fm_manager_sim::SimError>(())
//! ```
//!
//! It shares no code with the agent: it has its own reading of the structures on the wire.

mod faults;
mod layout;
mod like;
mod port;
mod protocol;
mod serve;
mod sim;
mod state;

pub use faults::{Fault, FaultKind};
pub use layout::{ALARM_BYTES, AlarmRecord, FILTER_BYTES, Filter, TEXT_BYTES, text_bytes};
pub use like::like;
pub use protocol::{Action, Code, HEADER_BYTES, Header, VERSION, frame};
pub use sim::{ManagerConfig, ManagerSim, RequestRecord, SimError};
pub use state::{Event, EventState};
