//! How many coupons, or units of an item; and how often a case was changed. Must not talk to Redis.

use crate::protocol::amount::NUMBER_MAX;
use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Whether it is plain decimal digits, as JSON has them.
fn is_plain(text: &str) -> bool {
    let is_short = (1..=16).contains(&text.len());
    is_short && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

macro_rules! number_type {
    ($(#[$doc:meta])* $type:ident, $least:literal, $code:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(u64);

        impl $type {
            /// What is allowed, for a message.
            pub const RULE: &str = $rule;

            /// Takes a number in range.
            pub fn new(number: u64) -> Option<Self> {
                ($least..=NUMBER_MAX).contains(&number).then_some(Self(number))
            }

            /// Reads plain decimal digits.
            ///
            /// # Errors
            /// They are out of range, or no digits; the error names `field`.
            pub fn parse(field: &str, text: &str) -> Result<Self, InputError> {
                let read = |text: &str| text.parse().ok().and_then(Self::new);
                if let Some(number) = read(text).filter(|_| is_plain(text)) {
                    return Ok(number);
                }
                // Where the number itself is allowed, what is wrong is how it is written.
                let bare = text.trim().trim_start_matches('0');
                let is_allowed = is_plain(bare) && read(bare).is_some();
                let how = if is_allowed { ", without spaces or leading zeros" } else { "" };
                Err(InputError::new($code, field, text, &format!("{}{how}", Self::RULE)))
            }

            /// The number.
            pub fn get(self) -> u64 {
                self.0
            }
        }
    };
}

number_type!(
    /// How many coupons or units: 1 to 2^53 - 1.
    Quantity, 1, Code::QuantityOutOfRange, "a whole number from 1 to 9007199254740991"
);
number_type!(
    /// How many coupons or units at most: 0 to 2^53 - 1.
    Limit, 0, Code::LimitOutOfRange, "a whole number from 0 to 9007199254740991"
);

number_type!(
    /// Of a case: 1 when it is opened, and one more by each amendment.
    Version, 1, Code::VersionOutOfRange, "a whole number from 1 to 9007199254740991"
);

impl Quantity {
    /// The quantity that is meant when none is given.
    pub const ONE: Self = Self(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_digits_in_range() {
        assert_eq!(Quantity::parse("quantity", "1").unwrap(), Quantity::ONE);
        for bad in ["0", "-1", "1.5", "1e3", "9007199254740992", "", "+1", "99999999999999999999"] {
            assert_eq!(Quantity::parse("quantity", bad).unwrap_err().code, Code::QuantityOutOfRange, "{bad}");
        }
        assert_eq!(Limit::parse("limit", "0").unwrap().get(), 0);
        for (text, is_named) in [(" 1", true), ("1 ", true), ("01", true), ("00", false), ("x", false)] {
            let error = Quantity::parse("quantity", text).unwrap_err();
            assert_eq!(error.allowed.ends_with(", without spaces or leading zeros"), is_named, "{text}");
        }
    }
}
