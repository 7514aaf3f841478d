//! A receipt's text. Pure.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::journal::Line;
use tollgate::kinds::{Event, Operation};

/// A receipt as it was stored, in its words.
pub(super) struct Stored<'a> {
    pub(super) fingerprint: &'a str,
    pub(super) code: &'a str,
    pub(super) seq: u64,
    pub(super) given_back: Option<GivenBack>,
}

impl<'a> Stored<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let number = |text: &str| {
            let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain)
        };
        let words: Vec<&str> = std::str::from_utf8(bytes).ok()?.split(' ').collect();
        let (&[fingerprint, code, seq], rest) = words.split_at_checked(3)? else { return None };
        let given_back = match rest {
            [] => None,
            [sum, seq] => Some(GivenBack { sum: number(sum)?, seq: number(seq)? }),
            _ => return None,
        };
        Some(Self { fingerprint, code, seq: number(seq)?, given_back })
    }
}

/// What a receipt says was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenBack {
    /// In all.
    pub(super) sum: u64,
    /// The line that did so last.
    pub(super) seq: u64,
}

impl GivenBack {
    /// What a line leaves behind of what it names; `None` if it gives nothing back.
    pub(super) fn of(line: &Line) -> Option<(&JobId, Self)> {
        let (of, sum) = match (&line.event, line.code) {
            (Event::Operation(Operation::Refund(refund)), Code::Refunded) => {
                (&refund.of, line.after("refunded")?)
            }
            (Event::Operation(Operation::Reverse(reverse)), Code::Reversed) => {
                (&reverse.of, reverse.quantity.get())
            }
            _ => return None,
        };
        Some((of, Self { sum, seq: line.seq }))
    }
}
