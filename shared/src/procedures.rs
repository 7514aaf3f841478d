//! What takes several calls, each of which may be the last: it goes on where it stopped.

pub mod codes;
pub mod receipts;
pub mod stock;
