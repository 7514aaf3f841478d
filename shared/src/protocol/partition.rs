//! Which partition a resource belongs to. Part of the wire format: see `docs/protocol.md`.

use std::fmt;

/// Most partitions a namespace can have: one for each slot of a Redis Cluster.
pub const PARTITIONS_MAX: u16 = 16_384;

/// The number of a partition, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u16);

impl Partition {
    /// The one that every namespace has.
    pub const FIRST: Self = Self(0);

    /// The partition of a resource id: CRC-16/XMODEM (the one Redis Cluster uses) modulo `partitions`.
    pub fn of(resource_id: &str, partitions: Partitions) -> Self {
        const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
        Self(CRC.checksum(resource_id.as_bytes()) % partitions.0)
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many partitions a namespace has, 1 to [`PARTITIONS_MAX`]; fixed when it is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions(u16);

impl Partitions {
    /// One: the largest batches, and the limit of one Redis core.
    pub const ONE: Self = Self(1);

    /// Takes a number in range.
    pub fn new(count: u16) -> Option<Self> {
        (1..=PARTITIONS_MAX).contains(&count).then_some(Self(count))
    }

    /// How many.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// The partition of this number, if there is one.
    pub fn get(self, number: u16) -> Option<Partition> {
        (number < self.0).then_some(Partition(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_vectors_of_the_protocol() {
        // 0x31c3 is the check value that the CRC catalogue gives for "123456789".
        for (id, crc) in [
            ("123456789", 0x31c3_u16),
            ("summer", 0xa6c9),
            ("a1", 0x1e69),
            ("c42", 0x1d7b),
            ("кампания", 0xbc8d),
        ] {
            let spread = Partitions::new(PARTITIONS_MAX).unwrap();
            assert_eq!(Partition::of(id, spread).number(), crc % PARTITIONS_MAX, "{id}");
        }
    }
}
