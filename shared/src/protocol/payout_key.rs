//! The idempotency key under which a gateway hears of a payout.
//!
//! Made of the namespace's name, the account and the job's id: an id is unique per account's partition and namespace
//! only, and one gateway may serve several. It is made of names alone, not of a partition or an identity, so that
//! after a loss of data and a new `init` the same request meets the key that it had before.
//! Must stay as it is: a payout that is on its way keeps its key in its hold, but a job that is sent again after a
//! loss gets a new one.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::protocol::ids::{AccountId, JobId, KeyPrefix, Namespace};

/// The longest key in which the names can be read, in bytes.
pub const READABLE_BYTES_MAX: usize = 128;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 196;

/// Between the parts; no part contains it.
const SEPARATOR: char = ':';
/// Before a digest that stands for account and id. In an escaped part `~` is followed by two digits.
const DIGEST_MARK: &str = "~~";

/// `[<prefix>:]<namespace>:<account>:<id>`, printable ASCII without spaces, at most [`KEY_BYTES_MAX`] bytes.
///
/// In account and id each byte but `A-Z a-z 0-9 . _ -` is written as `~` and two upper-case hex digits. A key longer
/// than [`READABLE_BYTES_MAX`] has `~~` and the SHA-256 of its readable form in lower-case hex in the place of
/// account and id. So two payouts have one key only if prefix, namespace, account and id are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PayoutKey(String);

/// Whose payout a key belongs to, as far as its form tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOwner<'a> {
    /// The parts that come before account and id: the prefix, if there is one, and the namespace's name.
    Namespace {
        /// As `--payout-key-prefix` gave it.
        prefix: Option<&'a str>,
        /// The namespace's name.
        namespace: &'a str,
    },
    /// It is none of our keys.
    Foreign,
}

impl PayoutKey {
    /// The key of this payout.
    pub fn of(prefix: Option<&KeyPrefix>, namespace: &Namespace, account: &AccountId, id: &JobId) -> Self {
        let owner = match prefix {
            Some(prefix) => format!("{prefix}{SEPARATOR}{namespace}"),
            None => namespace.to_string(),
        };
        let readable =
            format!("{owner}{SEPARATOR}{}{SEPARATOR}{}", escaped(account.as_str()), escaped(id.as_str()));
        if readable.len() <= READABLE_BYTES_MAX {
            return Self(readable);
        }
        let digest: String = Sha256::digest(&readable).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{owner}{SEPARATOR}{DIGEST_MARK}{digest}"))
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PayoutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> KeyOwner<'a> {
    /// Reads the owner from a key that somebody else wrote down.
    pub fn of(key: &'a str) -> Self {
        let parts: Vec<&str> = key.split(SEPARATOR).collect();
        let (owner, rest) = match parts.iter().position(|part| part.starts_with(DIGEST_MARK)) {
            Some(digest) => parts.split_at(digest),
            None => parts.split_at(parts.len().saturating_sub(2)),
        };
        let is_name = |part: &&str| Namespace::parse(*part).is_ok();
        match (owner, rest) {
            ([namespace], [_] | [_, _]) if is_name(namespace) => Self::Namespace { prefix: None, namespace },
            ([prefix, namespace], [_] | [_, _]) if is_name(prefix) && is_name(namespace) => {
                Self::Namespace { prefix: Some(prefix), namespace }
            }
            _ => Self::Foreign,
        }
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("~{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(prefix: &str, namespace: &str, account: &str, id: &str) -> String {
        let prefix = (!prefix.is_empty()).then(|| prefix.parse().unwrap());
        let (account, id) = (account.parse().unwrap(), id.parse().unwrap());
        PayoutKey::of(prefix.as_ref(), &namespace.parse().unwrap(), &account, &id).to_string()
    }

    #[test]
    fn keys_are_as_documented() {
        assert_eq!(key("", "shop", "a1", "invoice-1"), "shop:a1:invoice-1");
        assert_eq!(key("east", "shop", "a1", "invoice-1"), "east:shop:a1:invoice-1");
        assert_eq!(key("", "shop", "a:1", "ü /~"), "shop:a~3A1:~C3~BC~20~2F~7E");
        let long = key("", "shop", &"x".repeat(128), "i");
        assert_eq!(long.len(), "shop:~~".len() + 64);
        assert!(long.starts_with("shop:~~"));
        let longest = key(&"p".repeat(64), &"n".repeat(64), &"ü".repeat(64), &"~".repeat(128));
        assert_eq!(longest.len(), KEY_BYTES_MAX);
    }

    #[test]
    fn the_owner_is_read_from_a_key() {
        let of = |prefix, namespace| KeyOwner::Namespace { prefix, namespace };
        assert_eq!(KeyOwner::of(&key("", "shop", "a:1", "~~")), of(None, "shop"));
        assert_eq!(KeyOwner::of(&key("east", "shop", "a", "i")), of(Some("east"), "shop"));
        assert_eq!(KeyOwner::of(&key("east", "shop", &"x".repeat(128), "i")), of(Some("east"), "shop"));
        for foreign in ["", "invoice-1", "a:b", "a:b:c:d:e", "a b:c:d", ":a:b", "~~00"] {
            assert_eq!(KeyOwner::of(foreign), KeyOwner::Foreign, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn two_payouts_never_share_a_key(
            (one, other) in prop::array::uniform2((r"(p|p\.q)?", r"(n|p|n\.p)", "[a:~ü ]{1,3}", "[a:~/ü]{1,3}"))
                .prop_map(|[one, other]| (one, other)),
            long in any::<bool>(),
        ) {
            let make = |(prefix, namespace, account, id): &(String, String, String, String)| {
                let account = if long { format!("{account}{}", "x".repeat(110)) } else { account.clone() };
                key(prefix, namespace, &account, id)
            };
            prop_assert_eq!(make(&one) == make(&other), one == other);
            prop_assert!(make(&one).bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(make(&one).len() <= KEY_BYTES_MAX);
        }
    }
}
