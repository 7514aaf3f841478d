//! Faults of the way to Redis: one proxy, or all of them.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tollgate_testkit::proxy::{Proxy, Rates, Silence, Weather};

use crate::run::fault::{Fault, Undo};
use crate::run::site::Site;

/// How often a single thing happens to a command.
const OFTEN: f64 = 0.06;
/// Bytes of a reply at a time, and the pause after each.
const DRIP: (usize, Duration) = (48, Duration::from_millis(2));
/// Longer than anybody waits, at times.
const LATENCY: Duration = Duration::from_millis(2_000);

pub(super) fn begin(fault: Fault, site: &Site, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
    let rates = match fault {
        Fault::LoseReplies => Rates { reply_lost: OFTEN, ..Rates::default() },
        Fault::LoseRequests => Rates { request_lost: OFTEN, ..Rates::default() },
        Fault::CutReplies => Rates { cut: OFTEN, ..Rates::default() },
        Fault::FlipBytes => Rates { flip: OFTEN, ..Rates::default() },
        Fault::DoubleReplies => Rates { double: OFTEN, ..Rates::default() },
        _ => Rates::default(),
    };
    let silence = match fault {
        Fault::SilenceRequests => Some(Silence::Requests),
        Fault::SilenceReplies => Some(Silence::Replies),
        Fault::CutOffWorker => Some(Silence::Both),
        _ => None,
    };
    let delay = (fault == Fault::SlowWay).then(|| {
        let most = if random.random_ratio(1, 3) { LATENCY } else { Duration::from_millis(120) };
        (Duration::ZERO, most)
    });
    let drip = (fault == Fault::Drip).then_some(DRIP);
    let weather = Weather { delay, drip, rates, silence, ..Weather::default() };

    // A single worker that is cut off shows more than all: the others take over.
    let one = matches!(fault, Fault::CutOffWorker) || random.random_ratio(1, 3);
    let (on, proxies): (String, Vec<&Proxy>) = if one {
        let number = random.random_range(1..site.proxies.len());
        (format!("the way of worker {number}"), site.proxies.get(number).into_iter().collect())
    } else {
        ("every way".to_owned(), site.proxies.iter().collect())
    };
    for proxy in proxies {
        if fault == Fault::ResetAll {
            proxy.reset();
        } else {
            proxy.set(weather.clone());
        }
    }
    Ok((on, if fault == Fault::ResetAll { Undo::Nothing } else { Undo::Way }))
}
