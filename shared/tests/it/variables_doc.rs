//! docs/configuration.md lists the environment variables as `env.rs` has them.

use std::fmt::Write as _;

use tollgate::env;

use crate::tables::assert_written;

#[test]
fn the_page_lists_every_variable() {
    let mut table = String::from("| variable | what |\n|---|---|\n");
    for variable in env::ALL {
        writeln!(table, "| `{}` | {} |", variable.name, variable.what).unwrap();
    }
    assert_written("docs/configuration.md", "variables", &table);
}
