//! How the bank misbehaves: drawn from a seed, the key and the number of the try, so that a run can be repeated
//! whatever the order in which requests arrive.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::span::Span;

/// How often each misbehaviour happens, `5%` or `0.05`; together at most 100 %.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Rates {
    /// Refuses for good.
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    refuse: f64,
    /// Answers 500 and has not paid.
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    fail_before: f64,
    /// Pays and answers 502.
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    fail_after: f64,
    /// Pays and never answers.
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    hang: f64,
    /// Pays and drops the connection.
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    drop: f64,
    /// Answers 202 and pays later.
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    accept: f64,
    /// Answers 401 to everybody for a while (`--lock-out-for`).
    #[arg(long, default_value = "0", value_parser = parse_rate)]
    lock_out: f64,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BankFault {
    None,
    Refuse,
    FailBefore,
    FailAfter,
    Hang,
    Drop,
    Later,
    LockOut,
}

/// A fault and how long the answer takes.
pub(crate) struct Drawn {
    pub(crate) kind: BankFault,
    pub(crate) latency: Duration,
}

pub(crate) struct FaultPlan {
    seed: u64,
    rates: Rates,
    latency: Span,
    locked_out_for: Duration,
    tries: Mutex<HashMap<String, u64>>,
    locked_out_until: Mutex<Option<Instant>>,
}

impl FaultPlan {
    pub(crate) fn new(seed: u64, rates: Rates, latency: Span, locked_out_for: Duration) -> Self {
        let (tries, locked_out_until) = (Mutex::default(), Mutex::default());
        Self { seed, rates, latency, locked_out_for, tries, locked_out_until }
    }

    /// Draws for the next try of `key`.
    pub(crate) fn fault(&self, key: &str) -> Drawn {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tries.entry(key.to_owned()).or_default();
        *number += 1;
        draw(self.seed, key, *number, &self.rates, self.latency)
    }

    /// How long a look takes; looks do not misbehave.
    pub(crate) fn latency(&self, key: &str) -> Duration {
        draw(self.seed, key, 0, &self.rates, self.latency).latency
    }

    pub(crate) fn lock_out(&self) {
        *self.locked_out_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + self.locked_out_for);
    }

    pub(crate) fn is_locked_out(&self) -> bool {
        let until = *self.locked_out_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

fn draw(seed: u64, key: &str, number: u64, rates: &Rates, latency: Span) -> Drawn {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.update(key);
    let mut random = ChaCha8Rng::from_seed(hash.finalize().into());
    let latency = latency.draw(&mut random);
    let mut left: f64 = random.random();
    let kinds = [
        (rates.refuse, BankFault::Refuse),
        (rates.fail_before, BankFault::FailBefore),
        (rates.fail_after, BankFault::FailAfter),
        (rates.hang, BankFault::Hang),
        (rates.drop, BankFault::Drop),
        (rates.accept, BankFault::Later),
        (rates.lock_out, BankFault::LockOut),
    ];
    for (rate, kind) in kinds {
        if left < rate {
            return Drawn { kind, latency };
        }
        left -= rate;
    }
    Drawn { kind: BankFault::None, latency }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    match number.parse::<f64>() {
        Ok(rate) if (0.0..=unit).contains(&rate) => Ok(rate / unit),
        _ => Err("must be between 0% and 100%, for example 5%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE_PERCENT: Rates = Rates {
        refuse: 0.05,
        fail_before: 0.05,
        fail_after: 0.05,
        hang: 0.05,
        drop: 0.05,
        accept: 0.05,
        lock_out: 0.05,
    };

    #[test]
    fn the_same_seed_misbehaves_alike_and_about_as_often_as_asked() {
        let latency = Span::parse("0..9ms").unwrap();
        let mut counts = HashMap::new();
        for number in 0..10_000 {
            let draw = || draw(7, "key", number, &FIVE_PERCENT, latency);
            assert_eq!(draw().kind, draw().kind);
            assert_eq!(draw().latency, draw().latency);
            *counts.entry(format!("{:?}", draw().kind)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 8);
        for (kind, count) in counts {
            let expected = if kind == "None" { 6_500 } else { 500 };
            assert!((expected * 8 / 10..expected * 12 / 10).contains(&count), "{kind}: {count}");
        }
    }

    #[test]
    fn rates_are_read() {
        assert_eq!(parse_rate("5%"), Ok(0.05));
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        assert!(parse_rate("101%").is_err() && parse_rate("NaN").is_err() && parse_rate("-1").is_err());
    }
}
