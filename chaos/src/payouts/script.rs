//! The accounts and payouts of a run, drawn from its seed.
//!
//! The accounts hold nine tenths of what is asked of them, so that some payouts find too little.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Cents of one payout at most.
const AMOUNT_MAX: u64 = 500;

pub(super) struct Script {
    /// NDJSON that opens the accounts.
    pub(super) accounts: String,
    /// NDJSON of the payouts, about one in twenty sent twice.
    pub(super) payouts: String,
}

pub(super) fn write(payouts: u64, accounts: u64, seed: u64) -> Script {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut asked = vec![0; accounts as usize];
    let mut lines = String::new();
    for number in 0..payouts {
        let (account, amount) = (random.random_range(0..accounts), random.random_range(1..=AMOUNT_MAX));
        asked[account as usize] += amount;
        let line = format!(
            "{{\"kind\":\"withdraw\",\"id\":\"payout-{number}\",\"account\":\"account-{account}\",\
             \"amount\":{amount},\"currency\":\"USD\",\"destination\":\"iban-{account}\"}}\n"
        );
        let copies = if random.random_ratio(1, 20) { 2 } else { 1 };
        lines.extend(std::iter::repeat_n(line, copies));
    }
    let open = |(account, asked): (usize, &u64)| {
        let balance = asked * 9 / 10;
        format!(
            "{{\"kind\":\"account_open\",\"account\":\"account-{account}\",\"balance\":{balance},\"currency\":\"USD\"}}\n"
        )
    };
    Script { accounts: asked.iter().enumerate().map(open).collect(), payouts: lines }
}
