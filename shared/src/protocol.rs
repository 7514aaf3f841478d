//! What producers and workers agree upon: ids, amounts, requests, their JSON, the keys. Pure: nothing here talks to Redis.

pub mod amount;
pub mod code;
pub mod codes_name;
pub mod envelope;
pub mod fingerprint;
pub mod ids;
pub mod input;
pub mod instant;
pub mod item_counts;
pub mod job;
mod json_text;
pub mod keys;
pub mod kinds;
pub mod lines;
pub mod options;
pub mod partition;
pub mod payout_key;
pub mod quantity;
pub mod reason;
pub mod resource;
pub mod row;
pub mod span;
pub mod span_ms;
pub mod spelling;
pub mod stock_name;
pub mod tag;
pub mod ticket_ranges;
