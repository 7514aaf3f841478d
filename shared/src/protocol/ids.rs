//! Names that come from outside: jobs, campaigns, accounts, customers, queues, namespaces.
//!
//! Every input parses into these types, so nothing past that can hold a name that would move a key to
//! another slot, break a journal line or collide with one of ours. Must not talk to Redis.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::protocol::code::Code;
use crate::protocol::input::InputError;
use crate::protocol::instant::Instant;
use crate::random;

/// Longest id in bytes; an id is a hash field and part of a key, so its length is paid for in memory.
pub const ID_BYTES_MAX: usize = 128;
/// Longest queue or namespace name in bytes.
pub const NAME_BYTES_MAX: usize = 64;

const ID_RULE: &str = "1 to 128 bytes of UTF-8 without control characters, '{' or '}'";
const NAMESPACE_RULE: &str = "a name that does not end in '.' and a number, which names partitions";
const NAME_RULE: &str = "1 to 64 of the characters a-z, A-Z, 0-9, '.', '_' and '-'";

fn check_id(field: &'static str, text: &str) -> Result<(), InputError> {
    let bad = text.is_empty()
        || text.len() > ID_BYTES_MAX
        || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f || byte == b'{' || byte == b'}')
        // The C1 control characters, U+0080 to U+009F; everything else below 0x80 was seen above.
        || (!text.is_ascii() && text.chars().any(char::is_control));
    if bad { Err(InputError::new(Code::IdMalformed, field, text, ID_RULE)) } else { Ok(()) }
}

fn check_name(field: &'static str, text: &str) -> Result<(), InputError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(plain) {
        return Err(InputError::new(Code::NameMalformed, field, text, NAME_RULE));
    }
    Ok(())
}

fn check_namespace(field: &'static str, text: &str) -> Result<(), InputError> {
    check_name(field, text)?;
    let last = text.rsplit_once('.').map(|(_, last)| last);
    if last.is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(InputError::new(Code::NameMalformed, field, text, NAMESPACE_RULE));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $field:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// Checks `text` and takes it.
            ///
            /// # Errors
            /// It is no such name: the error names the field and what is allowed.
            pub fn parse(text: impl Into<String>) -> Result<Self, InputError> {
                let text = text.into();
                $check($field, &text)?;
                Ok(Self(text))
            }

            /// The name as it was given, byte for byte.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = InputError;

            fn from_str(text: &str) -> Result<Self, InputError> {
                Self::parse(text)
            }
        }
    };
}

name_type!(
    /// A campaign that issues coupons up to a limit.
    CampaignId, "campaign", check_id
);
name_type!(
    /// An account that holds money.
    AccountId, "account", check_id
);
name_type!(
    /// An inventory: an event or a section of it, a shop, a flight.
    InventoryId, "inventory", check_id
);
name_type!(
    /// What an inventory has so many of: a seat, a kind of ticket, an article.
    ItemId, "item", check_id
);
name_type!(
    /// A case that somebody decides: a loan, a claim, an application.
    CaseId, "case", check_id
);
name_type!(
    /// What a case can be decided as, one of its options; part of a list, so of a plain alphabet.
    CaseOption, "decision", check_name
);
name_type!(
    /// Who redeems or buys; counted per campaign and per inventory.
    CustomerId, "customer", check_id
);
name_type!(
    /// Where a payout goes, in the gateway's own terms.
    Destination,
    "destination",
    check_id
);
name_type!(
    /// The id that makes a job one job, however often it is sent. See [`JobId::bucket`].
    JobId, "id", check_job_id
);
name_type!(
    /// The id of a reserve, as whatever goes on with it names it.
    ReservationId, "reservation", check_job_id
);
name_type!(
    /// The id of a purchase or of a reserve, as whatever gives something of it back names it.
    OrderId, "order", check_job_id
);
name_type!(
    /// Who asks for an operation, or decides a case: a person, or what stands for one. Kept in the journal with what was decided.
    Actor, "by", check_id
);
name_type!(
    /// A queue; part of a key, so of a plain alphabet.
    QueueName, "queue", check_name
);
name_type!(
    /// A namespace: the first part of every key and hash tag.
    /// It does not end in a dot and a number: `a.1` would share a hash tag with the partitions of `a`.
    Namespace, "namespace", check_namespace
);
name_type!(
    /// What a payout gateway is called, whatever its address.
    GatewayName, "gateway", check_name
);
name_type!(
    /// What tells payouts of two namespaces of one name apart at one gateway.
    KeyPrefix, "key prefix", check_name
);

/// What every head and `meta` of one namespace say alike: made once, by `init`, so that an emptied Redis that was
/// initialised anew is told from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(String);

impl Identity {
    /// 128 bits that no other namespace has.
    pub fn fresh() -> Self {
        Self(format!("{:032x}", random::random::<u128>()))
    }

    /// Reads 32 hex digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 32 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a lock guards. Names of the library's user and of Tollgate itself cannot meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockName {
    owner: LockOwner,
    id: String,
}

/// Who chose the name of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum LockOwner {
    User,
    Payouts,
}

impl LockName {
    /// A name of the library's user: checked as every id is.
    ///
    /// # Errors
    /// The error names what is allowed.
    pub fn parse(text: impl Into<String>) -> Result<Self, InputError> {
        let id = text.into();
        check_id("lock", &id)?;
        Ok(Self { owner: LockOwner::User, id })
    }

    /// Tollgate's own: one payout at a time from this account.
    pub fn payouts(account: &AccountId) -> Self {
        Self { owner: LockOwner::Payouts, id: account.as_str().to_owned() }
    }

    pub(crate) fn key_part(&self) -> String {
        match self.owner {
            LockOwner::User => format!("user:{}", self.id),
            LockOwner::Payouts => format!("payouts:{}", self.id),
        }
    }

    pub(crate) fn of_key_part(text: &str) -> Option<Self> {
        let (owner, id) = text.split_once(':')?;
        match owner {
            "user" => Self::parse(id).ok(),
            "payouts" => AccountId::parse(id).ok().map(|account| Self::payouts(&account)),
            _ => None,
        }
    }
}

/// For messages: `invoice 17`, or `payouts of a1`.
impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            LockOwner::User => f.write_str(&self.id),
            LockOwner::Payouts => write!(f, "payouts of {}", self.id),
        }
    }
}

impl std::str::FromStr for LockName {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        Self::parse(text)
    }
}

/// The queue that is meant when none is named.
pub const DEFAULT_QUEUE: &str = "default";
/// The namespace that is meant when none is named.
pub const DEFAULT_NAMESPACE: &str = "tollgate";

impl Default for Actor {
    /// The name of Redis's own user where none was made.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Default for QueueName {
    fn default() -> Self {
        Self(DEFAULT_QUEUE.to_owned())
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(DEFAULT_NAMESPACE.to_owned())
    }
}

/// Prefixes of the ids that Tollgate makes itself: admin operations, and poison without an id.
const RESERVED: [&str; 2] = ["create/", "entry/"];

fn check_job_id(field: &'static str, text: &str) -> Result<(), InputError> {
    check_id(field, text)?;
    match RESERVED.iter().find(|prefix| text.starts_with(**prefix)) {
        None => Ok(()),
        Some(_) => Err(InputError::new(
            Code::IdReserved,
            field,
            text,
            "an id that does not begin with 'create/' or 'entry/'",
        )),
    }
}

/// A stored id may be longer than one that is given: by a reserved prefix, and what of a queue and an entry is in it.
const STORED_ID_BYTES_MAX: usize = 256;

/// Milliseconds in an hour, the width of a receipt bucket.
pub const HOUR_MS: u64 = 3_600_000;

impl GatewayName {
    /// What a gateway is called that was given no name: the same address, the same name.
    pub fn of_address(address: &str) -> Self {
        let digest = Sha256::digest(address.trim_end_matches('/'));
        Self(digest.iter().take(8).fold("address-".to_owned(), |name, byte| format!("{name}{byte:02x}")))
    }
}

macro_rules! earlier_jobs {
    ($($type:ident)*) => {$(
        impl From<JobId> for $type {
            fn from(id: JobId) -> Self {
                Self(id.0)
            }
        }

        impl From<$type> for JobId {
            fn from(id: $type) -> Self {
                Self(id.0)
            }
        }
    )*};
}
earlier_jobs!(ReservationId OrderId);

impl JobId {
    /// A fresh timed id: a UUIDv7 of this machine's clock. Only hygiene rests on that clock, never safety.
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// The timed id of this instant and these 74 bits (of 80; the rest says that it is a UUIDv7).
    pub fn timed(at: Instant, bits: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(at.ms(), bits).into_uuid().to_string())
    }

    /// The timeless id under which a campaign is created when none is given.
    pub fn create_campaign(campaign: &CampaignId) -> Self {
        Self(format!("create/campaign/{campaign}"))
    }

    /// The timeless id under which an account is opened when none is given.
    pub fn create_account(account: &AccountId) -> Self {
        Self(format!("create/account/{account}"))
    }

    /// The timeless id under which an inventory is created when none is given.
    pub fn create_inventory(inventory: &InventoryId) -> Self {
        Self(format!("create/inventory/{inventory}"))
    }

    /// The timeless id under which an inventory is loaded: once.
    pub fn load_inventory(inventory: &InventoryId) -> Self {
        Self(format!("create/stock/{inventory}"))
    }

    /// The timeless id under which a case is opened when none is given.
    pub fn open_case(case: &CaseId) -> Self {
        Self(format!("create/case/{case}"))
    }

    /// The id under which a stream entry is kept whose own id could not be read.
    pub fn poison(queue: &QueueName, entry: &str) -> Self {
        Self(format!("entry/{queue}/{entry}"))
    }

    /// Takes an id that Tollgate itself stored, so reserved prefixes are allowed.
    ///
    /// # Errors
    /// It cannot have been stored.
    pub fn stored(text: impl Into<String>) -> Result<Self, InputError> {
        let text = text.into();
        if text.is_empty() || text.len() > STORED_ID_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(InputError::new(Code::IdMalformed, "id", &text, ID_RULE));
        }
        Ok(Self(text))
    }

    /// When a timed id was made, by the clock of whoever made it; `None` of a timeless one.
    pub fn made_at(&self) -> Option<Instant> {
        timed_ms(&self.0).and_then(Instant::from_ms)
    }

    /// Where the receipt of this id lives: in the hour that the id itself names, or for ever.
    pub fn bucket(&self) -> Bucket {
        match timed_ms(&self.0) {
            Some(at_ms) => Bucket::Hour(at_ms / HOUR_MS),
            None => Bucket::Kept,
        }
    }
}

/// The receipt bucket of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// A timed id: hours since the Unix epoch, from the id's own 48-bit time.
    Hour(u64),
    /// A timeless id: never dropped.
    Kept,
}

/// The time inside a canonical lower-case UUIDv7, in milliseconds since the Unix epoch; `None` for any other text.
fn timed_ms(id: &str) -> Option<u64> {
    let bytes: &[u8; 36] = id.as_bytes().try_into().ok()?;
    let mut at_ms = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let digit = match (i, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        if i < 13 {
            at_ms = at_ms << 4 | u64::from(digit);
        }
        // Version 7, variant 10xx (RFC 9562, section 5.7).
        if (i == 14 && digit != 7) || (i == 19 && digit >> 2 != 0b10) {
            return None;
        }
    }
    Some(at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_canonical_lower_case_uuid_v7_is_timed() {
        let timed = "0198c2a1-7b3c-7def-8123-456789abcdef";
        assert_eq!(JobId::parse(timed).unwrap().bucket(), Bucket::Hour(0x0198_c2a1_7b3c / HOUR_MS));
        for other in [
            "0198C2A1-7B3C-7DEF-8123-456789ABCDEF",
            "0198c2a1-7b3c-4def-8123-456789abcdef",
            "0198c2a1-7b3c-7def-c123-456789abcdef",
            "0198c2a17b3c7def8123456789abcdef",
            "{198c2a1-7b3c-7def-8123-456789abcde}",
            "order-17",
        ] {
            assert_eq!(timed_ms(other), None, "{other}");
        }
    }

    #[test]
    fn names_that_could_reach_another_key_are_refused() {
        for bad in ["", "a{b", "b}", "a\nb", "a\0b", "a\tb", "a\u{7f}", "a\u{85}b", &"x".repeat(129)] {
            assert!(CampaignId::parse(bad).is_err(), "{bad:?}");
            assert!(JobId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "summer 2026", "кампания", "🎟", "\u{202e}abc", &"x".repeat(128)] {
            assert_eq!(CampaignId::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(JobId::parse("create/x").unwrap_err().code, Code::IdReserved);
        assert_eq!(JobId::parse("entry/x").unwrap_err().code, Code::IdReserved);
        assert!(QueueName::parse("a,b").is_err());
        for bad in ["a:b", "a.1", "a.1.22", "a."] {
            assert!(Namespace::parse(bad).is_err(), "{bad}");
        }
        for good in ["a1", "a.1b", "a-1", "1"] {
            assert!(Namespace::parse(good).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn a_fresh_time_is_read_back(at_ms in 0u64..(1 << 48)) {
            let uuid = uuid::Builder::from_unix_timestamp_millis(at_ms, &[7; 10]).into_uuid();
            prop_assert_eq!(timed_ms(&uuid.to_string()), Some(at_ms));
        }
    }
}
