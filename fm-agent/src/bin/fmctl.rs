//! The command `fmctl`; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fm_agent::ctl::main()
}
