//! What is read of a namespace without a decision: its journal, its resources, what waits, who works.

pub(crate) mod abreast;
pub mod case;
pub mod coupon;
pub mod discovery;
pub mod fetch;
pub mod inventory;
pub mod journal;
pub mod orders;
pub mod outcome;
pub mod parked;
pub mod pressure;
pub mod resources;
pub mod tickets;
pub mod waiting;
pub mod workers;
