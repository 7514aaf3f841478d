//! A list of texts and numbers as one word, for `cmsgpack.unpack` in a script: MessagePack, as much of it as that takes.
//!
//! Lua reads a packed list for two thirds of what the same words cost as arguments of their own. Numbers are positions,
//! counts and quantities: what may be more than Lua reads exactly goes as text. Pure.

use std::fmt::Write;

/// A list that words are added to.
#[derive(Debug)]
pub(super) struct Packed {
    /// Begins with the list's head, which says how many words follow.
    bytes: Vec<u8>,
    words: usize,
    digits: String,
}

const STRING_SHORT: u8 = 0xa0;
const STRING_8: u8 = 0xd9;
const STRING_32: u8 = 0xdb;
const NUMBER_32: u8 = 0xce;
const NUMBER_64: u8 = 0xcf;
const LIST_32: u8 = 0xdd;

const HEAD: [u8; 5] = [LIST_32, 0, 0, 0, 0];

impl Default for Packed {
    fn default() -> Self {
        Self { bytes: HEAD.to_vec(), words: 0, digits: String::new() }
    }
}

impl Packed {
    /// Adds a text.
    pub(super) fn text(&mut self, text: &str) {
        match text.len() {
            length @ 0..=31 => self.bytes.push(STRING_SHORT | length as u8),
            length @ 32..=255 => self.bytes.extend([STRING_8, length as u8]),
            length => self.head(STRING_32, length),
        }
        self.bytes.extend(text.as_bytes());
        self.words += 1;
    }

    /// Adds the digits of a number, as a text.
    pub(super) fn digits(&mut self, number: u64) {
        let mut digits = std::mem::take(&mut self.digits);
        digits.clear();
        // Writing to a string cannot fail.
        let _ = write!(digits, "{number}");
        self.text(&digits);
        self.digits = digits;
    }

    /// Adds a number.
    pub(super) fn number(&mut self, number: usize) {
        self.head(NUMBER_32, number);
        self.words += 1;
    }

    /// Adds a quantity.
    pub(super) fn quantity(&mut self, number: u64) {
        match u32::try_from(number) {
            Ok(number) => self.number(number as usize),
            Err(_) => {
                self.bytes.push(NUMBER_64);
                self.bytes.extend(number.to_be_bytes());
                self.words += 1;
            }
        }
    }

    /// Adds a list that is one word of this one.
    pub(super) fn list(&mut self, list: Self) {
        self.bytes.extend(list.finish());
        self.words += 1;
    }

    /// Adds a number that is not known yet; answers where it is to be [`put`](Self::put).
    pub(super) fn number_later(&mut self) -> usize {
        self.number(0);
        self.bytes.len() - 4
    }

    /// Puts a number where room was left for it.
    pub(super) fn put(&mut self, at: usize, number: usize) {
        self.bytes[at..at + 4].copy_from_slice(&(number as u32).to_be_bytes());
    }

    /// The list.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.put(1, self.words);
        self.bytes
    }

    fn head(&mut self, kind: u8, number: usize) {
        self.bytes.push(kind);
        self.bytes.extend((number as u32).to_be_bytes());
    }
}

/// The texts of a list, in their order; none of anything else. For who tells a person what a call asks.
#[cfg(feature = "explore")]
pub fn texts(list: &[u8]) -> Vec<&[u8]> {
    let mut texts = Vec::new();
    let [LIST_32, _, _, _, _, rest @ ..] = list else { return texts };
    let mut rest = rest;
    while let [kind, more @ ..] = rest {
        let (length, more) = match (*kind, more) {
            (NUMBER_32 | LIST_32, [_, _, _, _, more @ ..])
            | (NUMBER_64, [_, _, _, _, _, _, _, _, more @ ..]) => {
                rest = more;
                continue;
            }
            (STRING_8, [length, more @ ..]) => (usize::from(*length), more),
            (STRING_32, [a, b, c, d, more @ ..]) => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, more),
            (kind, more) if kind & 0xe0 == STRING_SHORT => (usize::from(kind & 0x1f), more),
            _ => break,
        };
        let Some((text, after)) = more.split_at_checked(length) else { break };
        texts.push(text);
        rest = after;
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_messagepack_calls_one() {
        let mut list = Packed::default();
        list.text("ab");
        let later = list.number_later();
        list.digits(9_007_199_254_740_991);
        list.put(later, 258);
        assert_eq!(
            list.finish(),
            [&[0xdd, 0, 0, 0, 3, 0xa2, b'a', b'b', 0xce, 0, 0, 1, 2, 0xb0][..], b"9007199254740991"].concat()
        );
        let (mut list, mut inner) = (Packed::default(), Packed::default());
        inner.text("a");
        inner.quantity(1 << 32);
        list.list(inner);
        list.text("b");
        let list = list.finish();
        let expected =
            [0xdd, 0, 0, 0, 2, 0xdd, 0, 0, 0, 2, 0xa1, b'a', 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xa1, b'b'];
        assert_eq!(list, expected);
        #[cfg(feature = "explore")]
        assert_eq!(texts(&list), [b"a", b"b"]);
        for length in [0, 31, 32, 255, 256, 70_000] {
            let mut list = Packed::default();
            list.text(&"x".repeat(length));
            let head = match length {
                0..=31 => vec![0xa0 + length as u8],
                32..=255 => vec![0xd9, length as u8],
                _ => [vec![0xdb], (length as u32).to_be_bytes().to_vec()].concat(),
            };
            let list = list.finish();
            assert_eq!(list[..5], [0xdd, 0, 0, 0, 1]);
            assert_eq!((&list[5..5 + head.len()], list.len()), (&head[..], 5 + head.len() + length));
            #[cfg(feature = "explore")]
            assert_eq!(texts(&list), ["x".repeat(length).as_bytes()]);
        }
    }
}
