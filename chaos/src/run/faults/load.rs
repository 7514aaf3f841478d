//! Faults of what is asked: too much of it, too often, or nonsense; and of the bank.

use std::sync::atomic::Ordering;

use anyhow::Context;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tollgate_testkit::process::Signal;

use crate::run::fault::{Fault, Undo};
use crate::run::history::Event;
use crate::run::masters::keys_of;
use crate::run::site::Site;
use crate::run::workload;

/// Sends of one id.
const TIMES: usize = 48;
/// Past the limit of an envelope, and past what Redis takes for one string in a stream by a mile.
const SIZES: [usize; 3] = [60_000, 70_000, 2_000_000];

/// Jobs that are well formed and end whatever works on them, and how: each is a fail point of its own.
pub(in crate::run) const KILLERS: [(&str, &str); 2] =
    [("poison-panics", "before_settle:panic"), ("poison-aborts", "before_settle:abort")];

#[derive(Deserialize)]
struct Dead {
    id: String,
}

pub(super) async fn begin(
    fault: Fault,
    site: &Site,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(String, Undo)> {
    let number = random.next_u64();
    match fault {
        Fault::StallBank => {
            let bank = site.bank.as_ref().context("this scenario has no bank")?;
            bank.process.lock().await.signal(Signal::STOP);
            Ok(("SIGSTOP".to_owned(), Undo::Bank))
        }
        Fault::RepeatId => {
            workload::repeat_one_id(site, &format!("again-{number:016x}"), TIMES).await;
            Ok((format!("{TIMES} times"), Undo::Nothing))
        }
        Fault::RaceForLast => {
            workload::race_for_last(site, &format!("last-{number:016x}")).await;
            Ok((String::new(), Undo::Nothing))
        }
        Fault::PoisonJob => {
            for (id, _) in KILLERS {
                workload::add_killer(site, id).await?;
            }
            Ok((KILLERS.map(|(id, _)| id).join(", "), Undo::Nothing))
        }
        Fault::Hostile => {
            workload::hostile(site, random.random_range(0..1_000_000)).await;
            Ok((String::new(), Undo::Nothing))
        }
        Fault::HugePayload => {
            for size in SIZES {
                huge(site, number, size).await?;
            }
            Ok((format!("{SIZES:?} bytes"), Undo::Nothing))
        }
        Fault::Poison => {
            for shape in 0..8 {
                workload::add_poison(site, &format!("poison-{number:016x}-{shape}"), shape).await?;
            }
            Ok((String::new(), Undo::Nothing))
        }
        Fault::Flood => {
            site.load.flood.store(true, Ordering::Relaxed);
            Ok(("ten times as much".to_owned(), Undo::Flood))
        }
        _ => {
            let ended = site.producer(&site.way(), &["dead", "ls", "--json"], None).await;
            let dead: Vec<Dead> = serde_json::from_str(&ended.stdout).unwrap_or_default();
            for Dead { id } in dead.iter().take(4) {
                // What is no job comes back at once; the mark must be found again afterwards.
                site.producer(&site.way(), &["dead", "retry", id, "--json"], None).await;
            }
            Ok((format!("{} retried", dead.len().min(4)), Undo::Nothing))
        }
    }
}

/// By the command, which refuses it; and past it, as any program could add it.
async fn huge(site: &Site, number: u64, size: usize) -> anyhow::Result<()> {
    let mark = format!("huge-{number:016x}-{size}");
    let line = format!("{{\"id\":\"{mark}\",\"kind\":\"redeem\",\"pad\":\"{}\"}}", "x".repeat(size));
    let ended = site
        .producer(&site.way(), &["enqueue", "-", "--json", "--overload-wait", "1s"], Some(line.clone()))
        .await;
    if ended.last().is_some_and(|value| value["accepted"] != 0) {
        site.history.add(Event::Unexpected { what: format!("{mark} was accepted at the input") });
    }
    let streams = keys_of(&site.direct(), "*:queue:default").await?;
    if let Some((mut link, stream)) = streams.into_iter().next() {
        workload::put_poison(site, &mut link, &stream, &mark, &line).await?;
    }
    Ok(())
}
