//! What is done to the keys of a partition: out of short lists of keys, types, fields and values, the ones that hurt.

use proptest::prelude::*;

/// What is done to one key before the script runs.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    /// The key holds another type.
    Type(usize, usize),
    /// One field of a hash, or one member of a sorted set, holds another value.
    Field(usize, usize, usize),
    /// One field is gone.
    NoField(usize, usize),
    /// The key is gone.
    Gone(usize),
    /// A stream has an entry with this id.
    Entry(usize, usize),
    /// A stream's group is gone.
    NoGroup,
}

pub(super) const KEYS: [&str; 22] = [
    "head",
    "queues",
    "queue:default",
    "in_flight:default",
    "journal",
    "parked",
    "scheduled",
    "dead",
    "receipts:kept",
    "receipts:now",
    "resources",
    "campaign:c0",
    "campaign:c1",
    "campaign:new",
    "holders:c0",
    "holders:c1",
    "account:a0",
    "account:a1",
    "account:new",
    "codes:",
    "payouts",
    "hold:mine",
];
pub(super) const TYPES: [&[&str]; 6] = [
    &["SET", "", "text"],
    &["RPUSH", "", "element"],
    &["SADD", "", "member"],
    &["ZADD", "", "1", "mine"],
    &["HSET", "", "mine", "text"],
    &["XADD", "", "5-0", "field", "value"],
];
pub(super) const FIELDS: [&str; 42] = [
    "format",
    "frozen",
    "receipts_floor",
    "floor_highest",
    "seq",
    "hash",
    "acked",
    "acked:default",
    "taken:default",
    "taken_count:default",
    "rows:default",
    "0-0",
    "replayed",
    "mismatched",
    "expired",
    "discarded",
    "overtaken",
    "to_scheduled",
    "to_dead",
    "requeued",
    "limit",
    "issued",
    "per_customer",
    "opens_at_ms",
    "closes_at_ms",
    "status",
    "codes",
    "codes_count",
    "available",
    "held",
    "currency",
    "u0",
    "u1",
    "mine",
    "decided",
    "dead",
    "due",
    "default",
    "state",
    "attempts",
    "amount",
    "fingerprint",
];
pub(super) const VALUES: [&str; 29] = [
    "",
    "0",
    "1",
    "2",
    "007",
    "-1",
    "1.5",
    "1e3",
    "0x10",
    "nan",
    " 1",
    "+1",
    "9007199254740990",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551616",
    "open",
    "closed",
    "active",
    "USD",
    "EUR",
    "0123456789abcdef redeemed 1",
    "0123456789abcdef redeemed",
    "dead\t0123456789abcdef\t0\tdefault\tworker_lost\t1\t{}",
    "queued\t0123456789abcdef\t0\tnone\t\t1\t",
    "x\0y\tz\n",
    "0123456789abcdef\tw\t1\t1\t5-0\t3\t",
    "0123456789abcdef\tw\t1\t1\t5-0\t1\t5-0",
    "0123456789abcdef\tw\t1\t1\t5-0\t2\t5-0",
];
pub(super) const ENTRIES: [&str; 4] =
    ["0-1", "4-0", "9007199254740991-0", "18446744073709551615-18446744073709551615"];

pub(super) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let key = 0..KEYS.len();
    let field = 0..FIELDS.len();
    let one = prop_oneof![
        3 => (key.clone(), 0..TYPES.len()).prop_map(|(key, of)| Damage::Type(key, of)),
        8 => (key.clone(), field.clone(), 0..VALUES.len()).prop_map(|(key, field, value)| Damage::Field(key, field, value)),
        2 => (key.clone(), field).prop_map(|(key, field)| Damage::NoField(key, field)),
        1 => key.clone().prop_map(Damage::Gone),
        1 => (key, 0..ENTRIES.len()).prop_map(|(key, entry)| Damage::Entry(key, entry)),
        1 => Just(Damage::NoGroup),
    ];
    prop::collection::vec(one, 0..4)
}
