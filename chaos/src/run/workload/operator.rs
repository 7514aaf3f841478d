//! Operators: they raise, lower and close what others redeem from, pause and resume queues, and look meanwhile.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde::Deserialize;
use tokio::sync::watch;

use super::asking::{answer, pause, words};
use super::draw::{Pool, QUEUES};
use super::load::Load;
use crate::run::client::Client;
use crate::run::history::Event;

const PAUSE: Duration = Duration::from_millis(150);

#[derive(Deserialize)]
struct Campaign {
    campaign: String,
    limit: Option<u64>,
    issued: Option<u64>,
}

pub(super) async fn run(client: Arc<Client>, load: Load, mut ends: watch::Receiver<bool>) {
    let mut pool = Pool::new(client.seed ^ 0x0b05);
    let mut paused = false;
    while pause(&mut ends, PAUSE).await {
        if !client.quiet() {
            let job = pool.limit();
            let typed = words(&job, "");
            let op = client.history.sent(vec![job]);
            let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
            let told = answer(&client.producer(&client.way(), &typed, None).await);
            client.history.told(op, told);
        }
        look(&client).await;
        if load.pauses && pool.random().random_ratio(1, 4) {
            // Whether it worked is seen at the end, when the last word is `resume`.
            let verb = if paused { "resume" } else { "pause" };
            let typed = ["queue", verb, QUEUES[2], "--no-wait"];
            let typed = if paused { &typed[..3] } else { &typed[..] };
            if client.producer(&client.way(), typed, None).await.code == Some(0) {
                paused = !paused;
            }
        }
    }
}

/// Reads the limits and what is issued, while they change.
async fn look(client: &Client) {
    let ended = client.producer(&client.way(), &["campaign", "ls", "--json"], None).await;
    let campaigns: Vec<Campaign> = serde_json::from_str(&ended.stdout).unwrap_or_default();
    for Campaign { campaign, limit, issued } in campaigns {
        if let (Some(limit), Some(issued)) = (limit, issued) {
            client.history.add(Event::Seen { campaign, limit, issued });
        }
    }
}
