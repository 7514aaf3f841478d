//! An id that is parked is taken by the same request alone: a job is sent for later, seen to be scheduled, and then
//! another request comes under its id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::watch;

use super::asking::{answer, pause, words};
use super::draw::{Pool, soon, unpack};
use crate::run::client::Client;
use crate::run::counted::OTHER_SENT;
use crate::run::history::{Event, Job, Request, Response};

const PAUSE: Duration = Duration::from_millis(400);
/// When the job is due: late enough to be looked at before. On a machine on which it was not, twice as late.
const LATER_MS: u64 = 2_500;
const LATER_MS_MOST: u64 = 10_000;
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run(client: Arc<Client>, mut ends: watch::Receiver<bool>) {
    let mut pool = Pool::new(client.seed ^ 0x9a4b);
    let mut later = LATER_MS;
    while pause(&mut ends, PAUSE).await {
        if !client.quiet() && !probe(&client, &mut pool, &mut ends, later).await {
            later = (later * 2).min(LATER_MS_MOST);
        }
    }
}

/// Answers whether the job was seen to be parked in time.
async fn probe(client: &Client, pool: &mut Pool, ends: &mut watch::Receiver<bool>, later: u64) -> bool {
    let id = format!("parked-{:016x}", pool.random().random_range(0..u64::MAX));
    let request =
        |quantity| Request::Redeem { campaign: "plenty".to_owned(), customer: id.clone(), quantity };
    let job = Job { id: id.clone(), request: request(1) };
    let op = client.history.sent(vec![job.clone()]);
    let line = unpack(&job, Some(&soon(later)));
    let sent = client
        .producer(&client.way(), &["enqueue", "-", "--overload-wait", "1s", "--json"], Some(line))
        .await;
    let accepted = sent.last().is_some_and(|counts| counts["accepted"] == 1);
    client
        .history
        .told(op, if accepted { Response::Accepted } else { Response::Unknown { why: sent.complaint() } });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(later) {
        let looked = client.producer(&client.way(), &["lookup", &id, "--json"], None).await;
        if looked.last().is_some_and(|looked| looked["code"] == "scheduled") {
            client.history.add(Event::Parked { id: id.clone() });
            let other = Job { id: id.clone(), request: request(2) };
            let typed = words(&other, "default");
            let op = client.history.sent(vec![other]);
            let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
            let told = answer(&client.producer(&client.way(), &typed, None).await);
            client.history.told(op, told);
            client.count(OTHER_SENT, 1);
            return true;
        }
        if !pause(ends, LOOK_EVERY).await {
            return true;
        }
    }
    false
}
