//! The program `tollgate-worker`; all of it is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate_worker::main()
}
