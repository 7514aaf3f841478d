//! The name of a list of items. Must not talk to Redis.

use super::codes_name::content_name;

content_name!(
    /// The name of an uploaded list of items: the SHA-256 of its content in lower-case hex (see `stock`).
    StockName
);
