//! The slots of a Redis Cluster: which of them a key is in.
//!
//! As the Redis Cluster specification says: CRC-16/XMODEM of what stands between the first `{` and the next `}`, or of the
//! whole key where that is nothing, modulo 16,384.

use std::fmt;

/// How many there are.
pub(crate) const SLOTS: u16 = 16_384;

pub(crate) const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);

/// One of the slots, below [`SLOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u16);

impl Slot {
    /// The slot that a CRC falls in.
    pub(crate) fn of_crc(crc: u16) -> Self {
        Self(crc % SLOTS)
    }

    /// The slot of a key.
    pub(crate) fn of_key(key: &[u8]) -> Self {
        let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
            let rest = &key[open + 1..];
            let end = rest.iter().position(|byte| *byte == b'}')?;
            Some(&rest[..end]).filter(|tag| !tag.is_empty())
        });
        Self::of_crc(CRC.checksum(tag.unwrap_or(key)))
    }

    /// The slot of this number; `None` if there is none.
    pub(crate) fn new(number: u16) -> Option<Self> {
        (number < SLOTS).then_some(Self(number))
    }

    pub(crate) fn number(self) -> u16 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_that_redis_says() {
        // As `CLUSTER KEYSLOT` answers.
        for (key, slot) in [
            ("foo", 12_182),
            ("{foo}:bar", 12_182),
            ("a{foo}{bar}", 12_182),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("", 0),
        ] {
            assert_eq!(Slot::of_key(key.as_bytes()).number(), slot, "{key}");
        }
    }
}
