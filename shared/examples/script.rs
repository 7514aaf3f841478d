//! Prints a script as Redis runs it, the begin of each of its files marked: `make script-settle`.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match tollgate::scripts::text(&name) {
        // Whoever has seen enough (`| head`) closes the pipe.
        Some(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Err(problem) if problem.kind() != std::io::ErrorKind::BrokenPipe => {
                eprintln!("cannot print it: {problem}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        None => {
            eprintln!(
                "no script is called {name:?}: the names are those of the files in shared/lua, and settle"
            );
            ExitCode::from(2)
        }
    }
}
