//! One concert: 500 seats, 20,000 who want one, carts that expire.
//!
//! The wishes are part of the burst: each sets one seat aside. Of those who got one, some pay, and their seats are sold;
//! the carts of the others expire, and their seats are bought by whoever comes then. Every seat is sold, once.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::stage::{Stage, thousands};

pub(crate) const SEATS: u64 = 500;
pub(crate) const BUYERS: u64 = 20_000;
/// How many of those who got a seat pay for it.
const PAY: usize = 300;
/// For how long a seat is set aside at least, in milliseconds: longer than the burst takes on most machines. Where it
/// takes longer, some who would pay come too late, and their seats are sold to others as well.
const HOLD_MS: u64 = 5_000;
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The lines of an items file.
pub(crate) fn seats() -> String {
    let seats = (0..SEATS).map(|seat| format!("{},1\n", seat_name(seat)));
    std::iter::once("item,quantity\n".to_owned()).chain(seats).collect()
}

fn seat_name(seat: u64) -> String {
    format!("{}-{}", char::from(b'A' + (seat / 25) as u8), seat % 25 + 1)
}

/// What everybody wants: one seat each.
pub(crate) fn wishes(rng: &mut ChaCha8Rng) -> impl Iterator<Item = String> {
    (0..BUYERS).map(|buyer| {
        let seat = seat_name(rng.random_range(0..SEATS));
        format!(
            r#"{{"kind":"reserve","id":"cart-{buyer}","inventory":"concert","customer":"fan-{buyer}","lines":[{{"item":"{seat}","quantity":1}}],"hold_for_ms":{HOLD_MS}}}"#
        )
    })
}

/// One line of `journal export`.
#[derive(Deserialize)]
struct Line {
    id: String,
    kind: String,
    code: String,
    reservation: Option<String>,
    #[serde(default)]
    lines: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    item: String,
}

/// `inventory show`.
#[derive(Deserialize)]
struct Inventory {
    available: u64,
    reserved: u64,
    sold: u64,
}

/// What became of the seats.
pub(crate) struct Concert {
    /// How many jobs were sent for it, the wishes of the burst not among them.
    pub(crate) sent: u64,
    carts: usize,
    paid: u64,
    expired: u64,
    sold_again: u64,
    /// What is wrong; nothing if this is empty.
    pub(crate) faults: Vec<String>,
}

/// Some pay, the other carts expire, and their seats are sold to others.
pub(crate) async fn play(stage: &Stage) -> anyhow::Result<Concert> {
    let carts = carts(stage).await?;
    let pay = carts.iter().take(PAY);
    let payments: Vec<String> = pay
        .map(|cart| {
            format!(r#"{{"kind":"commit","id":"pay-{cart}","inventory":"concert","reservation":"{cart}"}}"#)
        })
        .collect();
    stage.enqueue(&payments.join("\n")).await.context("paying")?;
    until(stage, "carts to expire", |concert| concert.reserved == 0).await?;
    // Two for each seat, who do not know which are left: one at most gets it.
    let late: Vec<String> = (0..2 * SEATS)
        .map(|buyer| {
            let seat = seat_name(buyer % SEATS);
            format!(
                r#"{{"kind":"purchase","id":"late-{buyer}","inventory":"concert","customer":"late-fan-{buyer}","lines":[{{"item":"{seat}","quantity":1}}]}}"#
            )
        })
        .collect();
    stage.enqueue(&late.join("\n")).await.context("buying what is left")?;
    until(stage, "the seats to be sold", |concert| concert.available == 0).await?;
    Ok(Concert {
        sent: (payments.len() + late.len()) as u64,
        carts: carts.len(),
        paid: 0,
        expired: 0,
        sold_again: 0,
        faults: Vec::new(),
    })
}

/// The reservations that were granted, in the order of the journal.
async fn carts(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let journal = stage.producer(&["journal", "export"]).await?;
    let lines = journal.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
    Ok(lines.into_iter().filter(|line| line.code == "reserved").map(|line| line.id).collect())
}

async fn until(stage: &Stage, what: &str, enough: impl Fn(&Inventory) -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !enough(&stage.json(&["inventory", "show", "concert"]).await?) {
        ensure!(begun.elapsed() < WITHIN, "waited {WITHIN:?} for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

impl Concert {
    /// Counts who got which seat, from the journal, and compares it with what the inventory says.
    pub(crate) async fn judge(&mut self, stage: &Stage, journal: &str) -> anyhow::Result<()> {
        let mut cart_of: HashMap<String, Vec<Wanted>> = HashMap::new();
        let mut sold: BTreeMap<String, u64> = BTreeMap::new();
        for line in journal.lines() {
            let line: Line = serde_json::from_str(line)?;
            let seats = match (line.kind.as_str(), line.code.as_str()) {
                ("reserve", "reserved") => {
                    cart_of.insert(line.id, line.lines);
                    continue;
                }
                ("expire", "reservation_expired") => {
                    self.expired += 1;
                    continue;
                }
                ("commit", "committed") => {
                    self.paid += 1;
                    let cart = line.reservation.and_then(|cart| cart_of.remove(&cart));
                    cart.context("a commit of what nobody has")?
                }
                ("purchase", "purchased") => {
                    self.sold_again += 1;
                    line.lines
                }
                _ => continue,
            };
            seats.into_iter().for_each(|seat| *sold.entry(seat.item).or_default() += 1);
        }
        let twice = sold.iter().filter(|(_, times)| **times > 1);
        self.faults.extend(twice.map(|(seat, times)| format!("seat {seat} was sold {times} times")));
        let Inventory { available, reserved, sold: units } =
            stage.json(&["inventory", "show", "concert"]).await?;
        if (available, reserved, units, sold.len() as u64) != (0, 0, SEATS, SEATS) {
            self.faults.push(format!(
                "{} seats are sold by the journal, and by the inventory {units}, with {reserved} in carts and {available} left",
                sold.len()
            ));
        }
        Ok(())
    }

    /// In a sentence.
    pub(crate) fn words(&self) -> String {
        format!(
            "{SEATS} seats, {} wanted one: {} carts, {} paid, {} expired and their seats sold to others; each seat once",
            thousands(BUYERS),
            self.carts,
            self.paid,
            self.expired
        )
    }

    /// What did not happen, without which nothing was shown.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        (self.paid == 0 || self.expired == 0 || self.sold_again == 0)
            .then_some("no cart was paid, or none expired")
    }
}
