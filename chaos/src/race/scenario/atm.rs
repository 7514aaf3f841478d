//! $100.00 on an account; $80.00 and $50.00 are withdrawn at once.

use rand_chacha::ChaCha8Rng;

use super::story::{Role, Round, Story, Take, dollars};

/// In cents, like the amounts.
const BALANCE: i64 = 10_000;
const AMOUNTS: [i64; 2] = [8_000, 5_000];

pub(super) const STORY: Story = Story {
    name: "atm",
    story: "An account holds $100.00. At two cash machines $80.00 and $50.00 are withdrawn at the same moment.",
    resource: "the money on each account",
    invariant: "no account pays out more than it held, and what is left plus what was paid out is what it held",
    guarantees: "G2",
    kind: "withdraw",
    quantity: dollars,
    amount: dollars,
    given: "paid out",
    paused_holder: |tag| pairs(1, tag),
    crowd: |size, tag, _: &mut ChaCha8Rng| pairs(size / 2, tag),
};

fn pairs(accounts: usize, tag: &str) -> Round {
    let mut round = Round::default();
    for number in 1..=accounts.max(1) {
        let record = round.record(tag, format!("account {number}"), BALANCE, Role::Account);
        for amount in AMOUNTS {
            let title = format!("withdraw {}", dollars(amount));
            let granted = format!("is paid {}", dollars(amount));
            round.request(tag, format!("owner {number}"), title, granted, vec![Take { record, amount }]);
        }
    }
    round
}
