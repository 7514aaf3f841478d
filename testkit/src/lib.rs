//! What tests and chaos runs share: processes that end with their owner ([`process`]), a proxy in front of Redis
//! that breaks the way to it ([`proxy`]), and times of day that are set ([`clock`]). Knows nothing of Tollgate. Must not be a dependency of anything that ships.

pub mod clock;
pub mod process;
pub mod proxy;
pub mod resp;
