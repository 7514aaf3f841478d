//! The *same* request sent twice, where there is money enough for both.

use rand_chacha::ChaCha8Rng;

use super::story::{Role, Round, Story, Take, dollars};

/// In cents, like the amounts.
const BALANCE: i64 = 10_000;
const AMOUNT: i64 = 3_000;

pub(super) const STORY: Story = Story {
    name: "double-click",
    story: "A customer with $100.00 presses Pay $30.00, sees nothing, and presses again: one request, sent twice.",
    resource: "the money on each account",
    invariant: "it is charged once, and both clicks get the same answer",
    guarantees: "G3, G4",
    kind: "withdraw",
    quantity: dollars,
    amount: dollars,
    given: "charged",
    paused_holder: |tag| accounts(1, tag),
    crowd: |size, tag, _: &mut ChaCha8Rng| accounts(size / 2, tag),
};

fn accounts(count: usize, tag: &str) -> Round {
    let mut round = Round::default();
    for number in 1..=count.max(1) {
        let record = round.record(tag, format!("account {number}"), BALANCE, Role::Account);
        for click in ["first click", "second click"] {
            let (customer, granted) =
                (format!("customer {number}"), format!("is charged {}", dollars(AMOUNT)));
            let takes = vec![Take { record, amount: AMOUNT }];
            round.request(tag, customer, click.to_owned(), granted, takes);
            if let Some(request) = round.requests.last_mut() {
                request.id = format!("{tag}-payment-{number}");
            }
        }
    }
    round
}
