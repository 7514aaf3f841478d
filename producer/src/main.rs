//! The Tollgate command line.
fn main() {}
