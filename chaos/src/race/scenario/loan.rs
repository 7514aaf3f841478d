//! One officer approves, another rejects the same application.

use rand_chacha::ChaCha8Rng;

use super::story::{Role, Round, Story};

pub(super) const STORY: Story = Story {
    name: "loan",
    story: "One officer approves a loan, another rejects it, at the same moment.",
    resource: "the one decision that each application waits for",
    invariant: "the first decision stands, and the second officer is told so",
    guarantees: "G1",
    kind: "decide",
    quantity: |open| if open > 0 { "open".to_owned() } else { "decided".to_owned() },
    amount: |decisions| format!("{decisions} decisions"),
    given: "made",
    paused_holder: |tag| applications(1, tag),
    crowd: |size, tag, _: &mut ChaCha8Rng| applications(size / 2, tag),
};

fn applications(count: usize, tag: &str) -> Round {
    let mut round = Round::default();
    for number in 1..=count.max(1) {
        let title = format!("application {number}");
        let record = round.record(tag, title, 1, Role::Case);
        for (officer, what, done) in
            [("officer A", "approve", "approved"), ("officer B", "reject", "rejected")]
        {
            round.decision(tag, officer, what, format!("has it {done}"), record);
        }
    }
    round
}
