//! What one thing adds to a sum that stands for a set. Pure.

/// What a customer with a count adds to the sum over a campaign's holders.
pub(crate) type Weight<'a> = &'a dyn Fn(&str, u64) -> u128;
