//! Money: whole minor units up to 2^53 - 1, and the decimal text that people write.
//!
//! Everything is exact or refused: no floats, no rounding, no wrapping (G17). Must not talk to Redis.

use std::fmt;
use std::str::FromStr;

use iso_currency::Currency as Iso;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// The largest amount, balance, limit and quantity: 2^53 - 1, the last integer that Lua's doubles hold exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

const MINOR_RULE: &str = "a whole number of minor units up to 9007199254740991";
const NOT_NEGATIVE: &str = "zero or more";
const POSITIVE: &str = "more than zero";

/// An amount in minor units, 0 to [`NUMBER_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// Takes a number of minor units. Zero is allowed: a balance may be nothing.
    pub fn from_minor(minor: u64) -> Option<Self> {
        (minor <= NUMBER_MAX).then_some(Self(minor))
    }

    /// The number of minor units.
    pub fn minor(self) -> u64 {
        self.0
    }

    /// Reads an amount of minor units as JSON writes it: `1250`, nothing else. `text` is the literal.
    ///
    /// # Errors
    /// [`Code::AmountNegative`], [`Code::AmountOutOfRange`]; the error names `field`.
    pub fn parse_minor(field: &str, text: &str) -> Result<Self, InputError> {
        Self::parse_digits(text).ok_or_else(|| out_of_range(field, text, MINOR_RULE))
    }

    fn parse_digits(text: &str) -> Option<Self> {
        // u64::from_str would take a leading '+'; 16 digits hold 2^53 - 1.
        let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse().ok().and_then(Self::from_minor) } else { None }
    }

    /// The same amount, if it is more than nothing: what a job may ask for.
    ///
    /// # Errors
    /// [`Code::AmountZero`]; the error names `field`.
    pub fn positive(self, field: &str) -> Result<Self, InputError> {
        match self.0 {
            0 => Err(InputError::new(Code::AmountZero, field, "0", POSITIVE)),
            _ => Ok(self),
        }
    }

    /// Reads a decimal amount, `12.50`, by the currency's exponent. Digits past the exponent are refused, not rounded.
    ///
    /// # Errors
    /// [`Code::AmountNegative`], [`Code::AmountOutOfRange`]; the error names `field` and gives an example.
    pub fn parse_decimal(field: &str, text: &str, currency: Currency) -> Result<Self, InputError> {
        let exponent = currency.exponent();
        let rule = match exponent {
            0 => format!("a whole number of {currency}, for example 1250"),
            _ => format!(
                "an amount in {currency} with up to {exponent} decimals, for example 12.{}",
                "50".get(..exponent.min(2)).unwrap_or("50")
            ),
        };
        let refused = || out_of_range(field, text, &rule);
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(refused()),
            None => (text, ""),
        };
        let is_number = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        if whole.is_empty() || fraction.len() > exponent || !is_number {
            return Err(refused());
        }
        let digits = format!("{whole}{fraction}{}", "0".repeat(exponent - fraction.len()));
        let significant = match digits.trim_start_matches('0') {
            "" => "0",
            significant => significant,
        };
        Self::parse_digits(significant).ok_or_else(|| {
            out_of_range(field, text, &format!("at most {}", Self(NUMBER_MAX).in_currency(currency)))
        })
    }

    /// The same, of an amount that must be more than nothing.
    ///
    /// # Errors
    /// Also [`Code::AmountZero`].
    pub fn parse_positive(field: &str, text: &str, currency: Currency) -> Result<Self, InputError> {
        let amount = Self::parse_decimal(field, text, currency).map_err(|error| match error.code {
            Code::AmountNegative => InputError { allowed: POSITIVE.to_owned(), ..error },
            _ => error,
        });
        amount?.positive(field)
    }

    /// The decimal text of this amount in `currency`: `12.50`.
    pub fn decimal(self, currency: Currency) -> String {
        decimal(u128::from(self.0), currency)
    }

    /// The same with the currency, `12.50 USD`.
    pub fn in_currency(self, currency: Currency) -> String {
        money(u128::from(self.0), currency.code())
    }
}

/// A sum of money for people, `12.50 USD`: by the currency's exponent, and in minor units where the currency is unknown.
pub fn money(minor: u128, currency: &str) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => format!("{} {currency}", decimal(minor, currency)),
        Err(_) => format!("{minor} minor units of {currency:?}"),
    }
}

/// `1250` as `12.50`, by the currency's exponent.
fn decimal(minor: u128, currency: Currency) -> String {
    match currency.exponent() {
        0 => minor.to_string(),
        exponent => {
            let unit = 10_u128.pow(exponent as u32);
            format!("{}.{:0exponent$}", minor / unit, minor % unit)
        }
    }
}

/// The error for text that is no amount: below zero is told apart from the rest.
fn out_of_range(field: &str, text: &str, rule: &str) -> InputError {
    let digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let negative = text.strip_prefix('-').is_some_and(digits);
    match negative {
        true => InputError::new(Code::AmountNegative, field, text, NOT_NEGATIVE),
        false => InputError::new(Code::AmountOutOfRange, field, text, rule),
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(Iso);

impl Currency {
    /// How many decimals its minor unit has; 0 where ISO 4217 names none.
    pub fn exponent(self) -> usize {
        usize::from(self.0.exponent().unwrap_or(0))
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self(Iso::USD)
    }
}

impl FromStr for Currency {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        Iso::from_code(text).map(Self).ok_or_else(|| {
            InputError::new(
                Code::CurrencyUnknown,
                "currency",
                text,
                "an ISO 4217 code in capitals, for example USD",
            )
        })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn decimals_follow_the_currency() {
        for (text, code, minor) in [
            ("12.50", "USD", 1250),
            ("12.5", "USD", 1250),
            ("12", "USD", 1200),
            ("0.00", "USD", 0),
            ("0.01", "USD", 1),
            ("007", "USD", 700),
            ("1250", "JPY", 1250),
            ("1.234", "BHD", 1234),
            ("90071992547409.91", "USD", NUMBER_MAX),
            ("9007199254740991", "JPY", NUMBER_MAX),
        ] {
            let amount = Amount::parse_decimal("amount", text, currency(code)).unwrap();
            assert_eq!(amount.minor(), minor, "{text} {code}");
        }
    }

    #[test]
    fn money_is_shown_by_its_currency() {
        for (minor, code, text) in [
            (1250, "USD", "12.50 USD"),
            (5, "USD", "0.05 USD"),
            (1250, "JPY", "1250 JPY"),
            (1250, "KWD", "1.250 KWD"),
            (0, "BHD", "0.000 BHD"),
            (12345, "CLF", "1.2345 CLF"),
            (u128::from(NUMBER_MAX) * 100, "USD", "9007199254740991.00 USD"),
            (7, "usd", "7 minor units of \"usd\""),
        ] {
            assert_eq!(money(minor, code), text);
        }
    }

    #[test]
    fn everything_else_is_refused_by_its_own_code() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "1.005",
            "1e3",
            "0x10",
            "+1",
            " 1",
            "1 ",
            "1,5",
            "NaN",
            "inf",
            "١٢",
            "１",
            "1.2.3",
            "-",
            "90071992547409.92",
            "18446744073709551617",
            "--1",
            "1.-5",
        ] {
            let error = Amount::parse_decimal("amount", text, currency("USD")).unwrap_err();
            assert_eq!(error.code, Code::AmountOutOfRange, "{text}");
        }
        for text in ["-1", "-0", "-12.50"] {
            let error = Amount::parse_decimal("amount", text, currency("USD")).unwrap_err();
            assert_eq!(error.code, Code::AmountNegative, "{text}");
        }
        assert!(Amount::parse_decimal("amount", "1.5", currency("JPY")).is_err());
        let told = |text, code| Amount::parse_decimal("amount", text, currency(code)).unwrap_err().allowed;
        assert_eq!(told("90071992547409.92", "USD"), "at most 90071992547409.91 USD");
        assert_eq!(told("9007199254740992", "JPY"), "at most 9007199254740991 JPY");
        assert_eq!(told("-1", "USD"), "zero or more");
        let told = |text| Amount::parse_positive("amount", text, currency("USD")).unwrap_err();
        for (text, code) in [("-1", Code::AmountNegative), ("0.00", Code::AmountZero)] {
            assert_eq!((told(text).code, told(text).allowed.as_str()), (code, "more than zero"), "{text}");
        }
        assert!("usd".parse::<Currency>().is_err());
        assert!("XYZ".parse::<Currency>().is_err());
    }

    proptest! {
        #[test]
        fn decimal_text_reads_back(minor in 0..=NUMBER_MAX, code in prop::sample::select(vec!["USD", "JPY", "BHD", "CLF"])) {
            let amount = Amount::from_minor(minor).unwrap();
            let text = amount.decimal(currency(code));
            prop_assert_eq!(Amount::parse_decimal("amount", &text, currency(code)).unwrap(), amount);
        }

        #[test]
        fn minor_text_agrees_with_a_big_number(text in "[0-9]{1,24}") {
            let big: u128 = text.parse().unwrap();
            let read = Amount::parse_minor("amount", &text).ok().map(|amount| u128::from(amount.minor()));
            // Up to 16 digits are read; a longer text is refused even if it is all zeros in front.
            let expected = (text.len() <= 16 && big <= u128::from(NUMBER_MAX)).then_some(big);
            prop_assert_eq!(read, expected);
        }
    }
}
