//! What happens to everything that passes: pure, drawn from a seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What happens to one command and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Pass,
    /// It never reaches the server, and the connection is closed.
    RequestLost,
    /// It runs; its reply is read here and goes nowhere, and the connection is closed.
    ReplyLost,
    /// The connection is closed in the middle of the reply.
    Cut,
    /// One bit where the reply begins is another.
    Flip,
    /// The reply comes twice.
    Double,
    /// It runs; neither its reply nor any later one comes, and the connection stays open.
    Hang,
    /// It never reaches the server, and the connection stays open.
    Hold,
}

impl Fate {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Pass,
        Self::RequestLost,
        Self::ReplyLost,
        Self::Cut,
        Self::Flip,
        Self::Double,
        Self::Hang,
        Self::Hold,
    ];

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::RequestLost => "request lost",
            Self::ReplyLost => "reply lost",
            Self::Cut => "reply cut",
            Self::Flip => "byte flipped",
            Self::Double => "reply doubled",
            Self::Hang => "reply never comes",
            Self::Hold => "request held back",
        }
    }
}

/// How often each thing happens to a command, from 0 to 1; together at most 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// See [`Fate::RequestLost`].
    pub request_lost: f64,
    /// See [`Fate::ReplyLost`].
    pub reply_lost: f64,
    /// See [`Fate::Cut`].
    pub cut: f64,
    /// See [`Fate::Flip`]; of scripts alone.
    pub flip: f64,
    /// See [`Fate::Double`]; of scripts alone.
    pub double: f64,
}

/// A direction in which nothing arrives, while the connection stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Requests vanish.
    Requests,
    /// Commands run and their replies vanish.
    Replies,
    /// Both.
    Both,
}

/// What happens to everything that passes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weather {
    /// Each packet, in either direction, waits for something between these.
    pub delay: Option<(Duration, Duration)>,
    /// Replies come in small pieces, with a pause after each.
    pub drip: Option<(usize, Duration)>,
    /// So many bytes of replies a second pass on each connection.
    pub bytes_a_second: Option<u32>,
    /// What happens to single commands.
    pub rates: Rates,
    /// Nothing arrives.
    pub silence: Option<Silence>,
    /// Only connections whose number this divides; none: all.
    pub every: Option<u64>,
}

impl Weather {
    /// Whether this connection is hit at all.
    pub(super) fn hits(&self, connection: u64) -> bool {
        self.every.is_none_or(|every| connection.is_multiple_of(every.max(1)))
    }

    pub(super) fn fate(&self, seed: u64, connection: u64, number: u64, words: &[&[u8]]) -> Fate {
        if !self.hits(connection) {
            return Fate::Pass;
        }
        let mut left: f64 = source(seed, connection, number).random();
        let script = words.first().is_some_and(|word| word.to_ascii_uppercase().starts_with(b"EVALSHA"));
        let scripts_only = |rate| if script { rate } else { 0.0 };
        let chances = [
            (self.rates.request_lost, Fate::RequestLost),
            (self.rates.reply_lost, Fate::ReplyLost),
            (self.rates.cut, Fate::Cut),
            (scripts_only(self.rates.flip), Fate::Flip),
            (scripts_only(self.rates.double), Fate::Double),
        ];
        for (rate, fate) in chances {
            if left < rate {
                return fate;
            }
            left -= rate;
        }
        Fate::Pass
    }
}

/// The randomness of one command of one connection.
pub(super) fn source(seed: u64, connection: u64, number: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    for (place, value) in [seed, connection, number].into_iter().enumerate() {
        bytes[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_has_the_same_fates_about_as_often_as_asked() {
        let rates = Rates { request_lost: 0.1, reply_lost: 0.1, cut: 0.1, flip: 0.1, double: 0.1 };
        let weather = Weather { rates, ..Weather::default() };
        let draw = |words: &[&[u8]], number| weather.fate(7, 3, number, words);
        let mut counts = [0; Fate::ALL.len()];
        for number in 0..10_000 {
            assert_eq!(draw(&[b"evalsha"], number), draw(&[b"EVALSHA"], number));
            counts[draw(&[b"EVALSHA"], number) as usize] += 1;
            assert!(!matches!(draw(&[b"GET"], number), Fate::Flip | Fate::Double));
        }
        assert!(counts[1..6].iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
