//! The fingerprint: what makes two sends of one id the same request.
//!
//! It is taken over the meaning (kind and fields), never over bytes, attempts, queue or time, so that
//! another client's spelling of the same request is the same request. `docs/protocol.md` has test vectors.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::protocol::kinds::Fields;

/// The first 64 bits of SHA-256, as 16 lower-case hex digits in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 8]);

/// Changes if the encoding below ever does; part of what is hashed.
const VERSION: &str = "tollgate.1";

impl Fingerprint {
    /// Hashes the version, the kind and every field's name and value, each as a netstring `<length>:<bytes>,`
    /// (so that no two lists of fields share an encoding).
    pub fn of(request: &dyn Fields) -> Self {
        let mut text = String::with_capacity(160);
        let mut netstring = |part: &str| {
            text.push_str(itoa(part.len(), &mut [0; 20]));
            text.push(':');
            text.push_str(part);
            text.push(',');
        };
        netstring(VERSION);
        netstring(request.kind().name());
        request.each_field(&mut |field, text| {
            if let Some(text) = text {
                netstring(field.name);
                netstring(&text);
            }
        });
        Self::hash(text.as_bytes())
    }

    /// The fingerprint of bytes that are no request: poison is known by its bytes alone.
    pub fn of_poison(bytes: &[u8]) -> Self {
        Self::hash(&[b"tollgate.poison:", bytes].concat())
    }

    /// Reads 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = if plain { u64::from_str_radix(text, 16).ok()? } else { return None };
        Some(Self(number.to_be_bytes()))
    }

    fn hash(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(first)
    }
}

/// Decimal digits without an allocation; this runs a dozen times for every job.
fn itoa(mut number: usize, buffer: &mut [u8; 20]) -> &str {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return std::str::from_utf8(&buffer[at..]).unwrap_or_default();
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::amount::Amount;
    use crate::protocol::ids::{AccountId, CampaignId, CustomerId};
    use crate::protocol::kinds::{Redeem, Withdraw};
    use crate::protocol::quantity::Quantity;

    #[test]
    fn test_vectors_of_the_protocol() {
        let redeem = Redeem {
            campaign: CampaignId::parse("summer").unwrap(),
            customer: CustomerId::parse("c42").unwrap(),
            quantity: Quantity::ONE,
        };
        let text = "10:tollgate.1,6:redeem,8:campaign,6:summer,8:customer,3:c42,8:quantity,1:1,";
        assert_eq!(Fingerprint::of(&redeem), Fingerprint::hash(text.as_bytes()));
        let withdraw = Withdraw {
            account: AccountId::parse("a1").unwrap(),
            amount: Amount::from_minor(1250).unwrap(),
            currency: "USD".parse().unwrap(),
        };
        let text = "10:tollgate.1,8:withdraw,7:account,2:a1,6:amount,4:1250,8:currency,3:USD,";
        assert_eq!(Fingerprint::of(&withdraw), Fingerprint::hash(text.as_bytes()));
    }

    #[test]
    fn text_reads_back() {
        let fingerprint = Fingerprint::of_poison(b"\xff{");
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
        assert_eq!(Fingerprint::parse("0123456789ABCDEF"), None);
    }
}
