//! A call that runs and whose reply goes nowhere: its way to Redis loses the reply to the one command that adds the
//! job, and its sender is gone by then. What is unknown to this client has certainly happened, however fast the machine
//! is.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tollgate_testkit::proxy::{Fate, Proxy};

use crate::run::client::{Client, Ended};
use crate::run::counted::UNHEARD;

/// The command that adds a job to its stream.
const ADDS: &str = "XADD";
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Runs a command of the producer up to the moment at which its reply is lost; answers how it ended if it never came
/// so far.
pub(super) async fn run(client: &Client, name: &str, words: &[&str]) -> anyhow::Result<Option<Ended>> {
    let direct = client.direct();
    let upstream = direct.strip_prefix("unix://").context("Redis is not on a unix socket")?;
    let socket = client.programs.dir().join(name);
    let proxy = Proxy::listen(&socket, Path::new(upstream), client.seed)?;
    proxy.trap(Fate::ReplyLost, ADDS, 0);
    // It is counted when the reply has been read, so the command has run.
    let lost = async {
        while !proxy.counts().contains(&(Fate::ReplyLost, 1)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let url = proxy.url();
    tokio::select! {
        biased;
        // The sender is killed with the future of its call, and whatever it came to know with it.
        () = lost => {
            client.count(UNHEARD, 1);
            Ok(None)
        }
        ended = client.producer(&url, words, None) => Ok(Some(ended)),
    }
}
