//! Does to Redis what a bug would do to it: what is planted there, again and again.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use anyhow::Context;
use tokio::sync::watch;

use super::masters::keys_of;
use super::redis;
use super::sabotage::{Deed, Planted};
use super::site::Site;

/// Well below the claim idle time: what a dead worker held is met before another takes it over.
const EVERY: Duration = Duration::from_millis(50);

/// Does to Redis what a bug would do to it, until the end.
pub(super) async fn run(site: Arc<Site>, mut ends: watch::Receiver<bool>) {
    let Some(deed) = site.planted.and_then(Planted::in_redis) else { return };
    loop {
        tokio::select! {
            _ = ends.wait_for(|end| *end) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        // A Redis that is away just now is met the next time.
        for (mut link, stream) in keys_of(&site.direct(), "*:queue:*").await.unwrap_or_default() {
            let _ = deed.to(&mut link, &stream).await;
        }
    }
}

impl Deed {
    async fn to(self, link: &mut MultiplexedConnection, stream: &str) -> anyhow::Result<()> {
        let (tag, queue) = stream.split_once(":queue:").context("a job stream")?;
        let (head, rows) = (format!("{tag}:head"), format!("{tag}:in_flight:{queue}"));
        match self {
            Self::Trim => _ = redis::ask::<u64>(link, &["XTRIM", stream, "MAXLEN", "0"]).await?,
            Self::Delete => _ = redis::ask::<u64>(link, &["DEL", stream]).await?,
            Self::TrimAboveInFlight => {
                // The last entry that was taken goes too, if it still lies in a row.
                let taken: Option<String> =
                    redis::ask(link, &["HGET", &head, &format!("taken:{queue}")]).await?;
                if let Some((ms, number)) = taken.as_deref().and_then(|last| last.split_once('-')) {
                    let above = format!("{ms}-{}", number.parse::<u64>()? + 1);
                    redis::ask::<u64>(link, &["XTRIM", stream, "MINID", &above]).await?;
                }
            }
            Self::RemoveRows => {
                for row in redis::ask::<Vec<String>>(link, &["HKEYS", &rows]).await? {
                    let of_queue = format!("rows:{queue}");
                    if redis::ask::<u64>(link, &["HDEL", &rows, &row]).await? > 0 {
                        redis::ask::<i64>(link, &["HINCRBY", &head, &of_queue, "-1"]).await?;
                    }
                }
            }
        }
        Ok(())
    }
}
