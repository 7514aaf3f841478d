//! One laptop, two carts; and orders of several items, all or nothing.

use rand::RngExt;

use super::story::{Role, Round, Story, Take};

/// Item, and how many an order may have of it at most.
const ITEMS: [(&str, i64); 3] = [("laptop", 1), ("mouse", 2), ("bag", 1)];

pub(super) const STORY: Story = Story {
    name: "stock",
    story: "One laptop is in stock and lies in two carts, alone or with a mouse and a bag. Both check out at once.",
    resource: "one laptop, a few mice and bags",
    invariant: "no item is sold more often than it was there, and an order gets all of its items or none",
    guarantees: "G1, G15",
    kind: "purchase",
    quantity: |left| format!("{left} left"),
    amount: |items| items.to_string(),
    given: "sold",
    paused_holder: |tag| shop(2, &[&[1, 0, 0], &[1, 0, 0]], tag),
    crowd: |size, tag, random| {
        let mut orders: Vec<[i64; 3]> = vec![[1, 0, 0]; 2];
        while orders.len() < size {
            orders.push(ITEMS.map(|(_, most)| random.random_range(0..=most)));
        }
        // An order of nothing is none.
        orders
            .iter_mut()
            .filter(|order| order.iter().all(|amount| *amount == 0))
            .for_each(|order| order[1] = 1);
        let orders: Vec<&[i64]> = orders.iter().map(<[i64; 3]>::as_slice).collect();
        shop(size, &orders, tag)
    },
};

fn shop(size: usize, orders: &[&[i64]], tag: &str) -> Round {
    let mut round = Round::default();
    let (plenty, shelf) = (size as i64 / 4 + 1, format!("{tag}-shelf"));
    for (item, quantity) in ITEMS.map(|(item, _)| item).into_iter().zip([1, plenty, plenty]) {
        round.record(tag, item.to_owned(), quantity, Role::Item { inventory: shelf.clone() });
    }
    for (number, order) in orders.iter().enumerate() {
        let lines = order.iter().enumerate().filter(|(_, amount)| **amount > 0);
        let takes: Vec<Take> = lines.map(|(record, amount)| Take { record, amount: *amount }).collect();
        let words: Vec<String> = takes
            .iter()
            .map(|take| match (take.amount, ITEMS[take.record].0) {
                (1, item) => item.to_owned(),
                (amount, item) => format!("{amount} {item}"),
            })
            .collect();
        let (cart, words) = (format!("cart {}", number + 1), words.join(" + "));
        let title = format!("{cart}: {words}");
        round.request(tag, cart, title, format!("gets {words}"), takes);
    }
    // Whoever locks, locks the shelf: orders overlap in any of the items.
    round.requests.iter_mut().for_each(|request| request.lock.clone_from(&shelf));
    round
}
