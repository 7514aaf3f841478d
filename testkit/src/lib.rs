//! What tests and chaos runs share: processes that end with their owner ([`process`]), servers ([`servers`]), pairs that
//! Sentinels watch ([`sentinel`]), clusters ([`cluster`]), waiting for a state ([`wait`]), a proxy in front of Redis that breaks the way to it ([`proxy`]), a way to a server that is cut for some ([`relay`]), times of day that are set
//! ([`clock`]), and a stand-in for Consul ([`consul`]). Of Tollgate it knows the launcher and the links. Must not be a dependency of anything that ships.

pub mod clock;
pub mod cluster;
pub mod consul;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod resp;
pub mod sentinel;
pub mod servers;
pub mod wait;
