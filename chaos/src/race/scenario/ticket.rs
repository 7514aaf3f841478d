//! One ticket, or one seat; many buyers.

use rand_chacha::ChaCha8Rng;

use super::story::{Role, Round, Story, one_of};

pub(super) const STORY: Story = Story {
    name: "ticket",
    story: "One seat is left, and everybody presses Buy at the same moment.",
    resource: "one ticket",
    invariant: "it is sold once",
    guarantees: "G1",
    kind: "purchase",
    quantity: |left| format!("{left} left"),
    amount: |tickets| tickets.to_string(),
    given: "sold",
    paused_holder: |tag| buyers(2, tag),
    crowd: |size, tag, _: &mut ChaCha8Rng| buyers(size, tag),
};

fn buyers(count: usize, tag: &str) -> Round {
    let mut round = Round::default();
    let role = Role::Item { inventory: format!("{tag}-concert") };
    let ticket = round.record(tag, "ticket".to_owned(), 1, role);
    for number in 1..=count {
        let buyer = format!("buyer {number}");
        round.request(tag, buyer.clone(), buyer, "gets the ticket".to_owned(), one_of(ticket));
    }
    round
}
