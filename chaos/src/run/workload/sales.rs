//! What is on sale in a run, and what is asked of it: purchases and carts, what becomes of them, and the same again.

use std::collections::{BTreeMap, VecDeque};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::run::sale::{OrderLine, Sale};

pub(in crate::run) const INVENTORY: &str = "hall";
const CUSTOMERS: u64 = 80;
/// Each there once.
const SEATS: u64 = 30;
/// Some are sold out soon, some never.
const COUNTED: [(&str, u64, u64); 2] = [("floor", 200, 4), ("shirt", 100_000, 3)];
/// How many earlier orders may be gone on with.
const REMEMBERED: usize = 60;
/// A cart lasts for so long; some are paid for in time, some end.
const HOLD_FOR_MS: std::ops::RangeInclusive<u64> = 200..=2_500;

/// What the inventory begins with.
pub(in crate::run) fn stock() -> BTreeMap<String, u64> {
    let seats = (1..=SEATS).map(|number| (seat(number), 1));
    seats.chain(COUNTED.map(|(item, quantity, _)| (item.to_owned(), quantity))).collect()
}

pub(super) fn customer(random: &mut ChaCha8Rng) -> String {
    format!("customer-{}", random.random_range(0..CUSTOMERS))
}

fn seat(number: u64) -> String {
    format!("A-{number}")
}

/// Draws requests, and remembers the orders that they may be about.
#[derive(Default)]
pub(super) struct Sales {
    orders: VecDeque<(String, Vec<OrderLine>)>,
    carts: VecDeque<(String, Vec<OrderLine>)>,
    /// The order that was returned last: it has nothing to return any more.
    returned: Option<String>,
}

impl Sales {
    /// Notes an order under its id.
    pub(super) fn remember(&mut self, id: &str, sale: &Sale) {
        let (among, lines) = match sale {
            Sale::Purchase { lines, .. } => (&mut self.orders, lines),
            Sale::Reserve { lines, .. } => (&mut self.carts, lines),
            _ => return,
        };
        if among.len() == REMEMBERED {
            among.pop_front();
        }
        among.push_back((id.to_owned(), lines.clone()));
    }

    pub(super) fn draw(&mut self, random: &mut ChaCha8Rng) -> Sale {
        let inventory = INVENTORY.to_owned();
        let hold_for_ms = random.random_range(HOLD_FOR_MS);
        let roll = random.random_range(0..100);
        let cart = pick(&self.carts, random);
        // A cart is an order, too, when it is paid for.
        let order = if random.random_ratio(1, 3) { cart.clone() } else { pick(&self.orders, random) };
        match (roll, cart, order) {
            (0..14, Some((reservation, lines)), _) => {
                Sale::Commit { inventory, reservation, lines: some(lines, random) }
            }
            (14..24, Some((reservation, lines)), _) => {
                Sale::Release { inventory, reservation, lines: some(lines, random) }
            }
            (24..28, Some((reservation, _)), _) => Sale::Extend { inventory, reservation, hold_for_ms },
            (28..40, _, Some((order, lines))) => match self.returned.take() {
                Some(again) => Sale::Return { inventory, order: again, lines: None },
                None => {
                    self.returned = Some(order.clone());
                    Sale::Return { inventory, order, lines: some(lines, random) }
                }
            },
            (40..46, _, Some((order, lines))) => {
                let from = lines[random.random_range(0..lines.len())].item.clone();
                let mut to = line(random).item;
                if to == from {
                    to = if from == "shirt" { "floor" } else { "shirt" }.to_owned();
                }
                Sale::Exchange { inventory, order, from, to }
            }
            (46..72, ..) => {
                Sale::Reserve { inventory, customer: customer(random), lines: lines(random), hold_for_ms }
            }
            _ => Sale::Purchase { inventory, customer: customer(random), lines: lines(random) },
        }
    }
}

fn pick(
    orders: &VecDeque<(String, Vec<OrderLine>)>,
    random: &mut ChaCha8Rng,
) -> Option<(String, Vec<OrderLine>)> {
    let place = random.random_range(0..orders.len().max(1));
    orders.get(place).cloned()
}

/// All of what is left, or one unit of one line.
fn some(lines: Vec<OrderLine>, random: &mut ChaCha8Rng) -> Option<Vec<OrderLine>> {
    let place = random.random_range(0..lines.len());
    random.random_ratio(1, 4).then(|| vec![OrderLine { quantity: 1, ..lines[place].clone() }])
}

fn line(random: &mut ChaCha8Rng) -> OrderLine {
    if random.random_bool(0.5) {
        return OrderLine { item: seat(random.random_range(1..=SEATS)), quantity: 1 };
    }
    let (item, _, most) = COUNTED[random.random_range(0..COUNTED.len())];
    OrderLine { item: item.to_owned(), quantity: random.random_range(1..=most) }
}

/// One to three lines of different items.
fn lines(random: &mut ChaCha8Rng) -> Vec<OrderLine> {
    let mut lines: Vec<OrderLine> = Vec::new();
    for _ in 0..random.random_range(1..=3) {
        let line = line(random);
        if lines.iter().all(|other| other.item != line.item) {
            lines.push(line);
        }
    }
    lines
}
