//! A client that sends one request, waits for its answer, and goes on: what it was told before it sent the next is an
//! order that the journal has to keep.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::watch;

use super::asking::{answer, pause, words};
use super::draw::{Pool, QUEUES};
use super::load::Load;
use super::unheard;
use crate::run::client::Client;
use crate::run::history::{Job, Response};

const PAUSE: Duration = Duration::from_millis(15);

pub(super) async fn run(client: Arc<Client>, load: Load, number: u64, mut ends: watch::Receiver<bool>) {
    let mut pool = Pool::new(client.seed.wrapping_mul(1_000_003).wrapping_add(number));
    let mut calls = 0;
    while pause(&mut ends, PAUSE).await {
        if client.quiet() {
            continue;
        }
        calls += 1;
        if load.unheard.is_some_and(|every| calls % every == 1) {
            let job = pool.once();
            let name = format!("unheard-{number}-{calls}");
            if let Response::Unknown { .. } = ask(&client, &job, &mut pool, Way::Unheard(name)).await {
                ask(&client, &job, &mut pool, Way::Again).await;
            }
            continue;
        }
        let job = match pool.random().random_range(0..8) {
            0 => pool.deposit(),
            1 => pool.operation(),
            _ => pool.queued(load.payouts),
        };
        let again = pool.random().random_ratio(1, 6);
        let told = ask(&client, &job, &mut pool, Way::First).await;
        // Whoever was not answered asks again, as the docs say; and sometimes also who was.
        if again || matches!(told, Response::Unknown { .. }) {
            ask(&client, &job, &mut pool, Way::Again).await;
        }
    }
}

/// How a request is sent.
enum Way {
    First,
    Again,
    /// So that its reply is lost; the name of a socket of its own.
    Unheard(String),
}

/// Sends it and waits.
async fn ask(client: &Client, job: &Job, pool: &mut Pool, way: Way) -> Response {
    // Whatever is paused, somebody who waits chooses a queue that moves.
    let queue = QUEUES[pool.random().random_range(0..2)];
    let mut typed = job.clone();
    if matches!(way, Way::Again) && client.sabotage_of_client() == Some("retry_under_new_id") {
        // The bug: what is the same request to its sender is another one to Tollgate.
        typed.id = pool.id(true);
    }
    let words = words(&typed, queue);
    let op = client.history.sent(vec![job.clone()]);
    client.load.asked.fetch_add(1, Ordering::Relaxed);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut told = match way {
        Way::Unheard(name) => match unheard::run(client, &name, &words).await {
            Ok(None) => Response::Unknown { why: "its reply was lost, and its sender is gone".to_owned() },
            Ok(Some(ended)) => answer(&ended),
            Err(problem) => Response::NotApplied { why: format!("{problem:#}") },
        },
        Way::First | Way::Again => answer(&client.producer(&client.way(), &words, None).await),
    };
    if matches!(told, Response::Unknown { .. }) {
        client.load.unknown.fetch_add(1, Ordering::Relaxed);
        if client.sabotage_of_client() == Some("timeout_as_not_applied") {
            told = Response::NotApplied { why: "planted".to_owned() };
        }
    }
    client.load.note(std::slice::from_ref(job), &told);
    client.history.told(op, told.clone());
    told
}
