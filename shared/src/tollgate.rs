//! A namespace: opened, initialised, and asked.

mod calls;
mod error;
mod init;
mod namespace;
mod remains;

pub use calls::Packed;
pub use error::OpenError;
pub use init::{Init, RETENTION_DEFAULT};
pub use namespace::{NamespaceMeta, Tollgate};
