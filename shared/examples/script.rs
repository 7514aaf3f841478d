//! Prints a script as Redis runs it, the begin of each of its files marked: `make script-settle`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match tollgate::scripts::text(&name) {
        Some(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!(
                "no script is called {name:?}: the names are those of the files in shared/lua, and settle"
            );
            ExitCode::from(2)
        }
    }
}
