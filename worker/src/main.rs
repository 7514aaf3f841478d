//! The Tollgate worker.
fn main() {}
