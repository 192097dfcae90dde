//! Who is at the other end of a connection.
//!
//! Invariants:
//! - User, group, process and groups are the kernel's word of the moment of connecting; the program's name is
//!   the caller's own word, and the executable what the system says about the process besides.
//! - A text of the caller is bounded, and shown so that it cannot pass for anything else.
//!
//! It decides nothing: that is `access`'s.

use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;
use serde::{Deserialize, Serialize};

/// The longest name kept of a program or an executable, in characters.
const LONGEST_NAME: usize = 256;

/// Where a request is from, as it is kept with an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process, 0 when it is in a container that this agent cannot look into.
    pub pid: i32,
    /// The program, by its own word.
    pub program: String,
    /// The executable of the process, or its name in brackets, by the system's word; `None` when it was not
    /// to be had.
    pub executable: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} uid {} pid {}", self.program, self.uid, self.pid)
    }
}

/// The socket that a caller came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Everybody's.
    Main,
    /// The administrators'.
    Admin,
}

/// A caller: where its requests are from, and what decides whether they are taken.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where its requests are from.
    pub origin: Arc<Origin>,
    /// Groups of its process besides its own, when it was connecting.
    pub groups: Vec<u32>,
    /// The socket that it came by.
    pub door: Door,
}

/// What the system says about the executable of a process, while it lives.
pub fn executable(pid: i32) -> Option<String> {
    let cut = |text: String| text.chars().take(LONGEST_NAME).collect();
    let path = fs::read_link(format!("/proc/{pid}/exe")).map(|path| path.to_string_lossy().into_owned());
    // The executable of another user's process is for root only, its name for everybody.
    let name = || Some(format!("[{}]", fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end()));
    path.ok().or_else(name).map(cut)
}

/// Asks for the groups with one length after the other: the answer's length is not known before, the kernel
/// refuses what is too short, and the first that it takes fits exactly.
macro_rules! groups_of_length {
    ($socket:expr, $($length:literal)+) => { $({
        #[derive(Clone, Copy)]
        struct PeerGroups;
        nix::getsockopt_impl!(
            PeerGroups,
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            [u32; $length],
            GetStruct<[u32; $length]>
        );
        match getsockopt($socket, PeerGroups) {
            Ok(groups) => return Ok(groups.to_vec()),
            Err(Errno::ERANGE) => {}
            Err(errno) => return Err(errno),
        }
    })+ };
}

/// The groups that the process at the other end of a Unix socket had besides its own when it was connecting.
///
/// # Errors
/// What the system says; `E2BIG` when there are more than 64 of them.
pub fn peer_groups(socket: &impl AsFd) -> Result<Vec<u32>, Errno> {
    groups_of_length!(
        socket,
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
    );
    Err(Errno::E2BIG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_groups_are_those_of_the_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let own: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        assert_eq!(peer_groups(&one), Ok(own));
    }

    #[test]
    fn the_executable_is_the_systems_word() {
        let own = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(executable(pid).unwrap(), own.chars().take(LONGEST_NAME).collect::<String>());
        assert_eq!(executable(0), None);
    }
}
