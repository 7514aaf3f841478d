//! Bytes that are no job, put into the streams as any program could.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::asking::pause;
use super::draw::unpack;
use crate::run::client::Client;
use crate::run::history::{Event, Job, Request, Response};
use crate::run::masters::keys_of;
use crate::run::redis;

const PAUSE: Duration = Duration::from_millis(250);
/// The end of every stream's name.
const STREAMS: &str = "*:queue:*";

pub(super) async fn run(client: Arc<Client>, mut ends: watch::Receiver<bool>) {
    let mut random = ChaCha8Rng::seed_from_u64(client.seed ^ 0x7015);
    for number in 0.. {
        if !pause(&mut ends, PAUSE).await {
            return;
        }
        if !client.quiet() {
            // A Redis that is away just now takes no poison either.
            let _ = add(&client, &format!("poison-{number}"), random.random_range(0..SHAPES)).await;
        }
    }
}

/// How many kinds of poison there are.
const SHAPES: usize = 8;

/// Adds one of its kinds, with a mark by which it is found again.
pub(in crate::run) async fn add(client: &Client, mark: &str, shape: usize) -> anyhow::Result<()> {
    let bytes = match shape {
        0 => format!("{{\"id\":\"{mark}\",\"kind\":\"redeem\""),
        1 => format!("{mark} is no JSON"),
        2 => format!("{{\"id\":\"{mark}\",\"kind\":\"deposit\",\"account\":\"account-1\",\"amount\":1000}}"),
        3 => format!("{{\"id\":\"{mark}\",\"kind\":\"withdraw\",\"account\":\"account-1\",\"amount\":1.5}}"),
        4 => format!("{{\"id\":\"{mark}\",\"kind\":\"withdraw\",\"account\":\"account-1\",\"amount\":-0}}"),
        5 => format!("{{\"id\":\"{mark}\",\"kind\":\"mint\"}}"),
        6 => format!("[\"{mark}\"]"),
        _ => format!(
            "{{\"id\":\"{mark}\",\"kind\":\"withdraw\",\"account\":\"a\",\"amount\":9007199254740992}}"
        ),
    };
    let mut streams = keys_of(&client.direct(), STREAMS).await?;
    if streams.is_empty() {
        return Ok(());
    }
    let (mut link, stream) = streams.swap_remove(shape % streams.len());
    put(client, &mut link, &stream, mark, &bytes).await
}

/// Adds bytes as they are. It is told before they are sent: what a lost reply leaves behind is expected as well.
pub(in crate::run) async fn put(
    client: &Client,
    link: &mut MultiplexedConnection,
    stream: &str,
    mark: &str,
    bytes: &str,
) -> anyhow::Result<()> {
    client.history.add(Event::Poisoned { mark: mark.to_owned(), arrived: false });
    redis::ask::<String>(link, &["XADD", stream, "*", "job", bytes]).await?;
    client.history.add(Event::Poisoned { mark: mark.to_owned(), arrived: true });
    Ok(())
}

/// Sends a job that is well formed, and whose worker does not survive it.
pub(in crate::run) async fn add_killer(client: &Client, id: &str) -> anyhow::Result<()> {
    let request = Request::Redeem { campaign: "plenty".to_owned(), customer: id.to_owned(), quantity: 1 };
    let job = Job { id: id.to_owned(), request };
    let op = client.history.sent(vec![job.clone()]);
    client.history.add(Event::Poisoned { mark: id.to_owned(), arrived: false });
    let ended =
        client.producer(&client.direct(), &["enqueue", "-", "--json"], Some(unpack(&job, None))).await;
    anyhow::ensure!(ended.code == Some(0), "enqueue: {}", ended.complaint());
    client.history.told(op, Response::Accepted);
    client.history.add(Event::Poisoned { mark: id.to_owned(), arrived: true });
    Ok(())
}
