//! The conservation law and what it is made of: exact at every instant, also after Redis restarted, and false
//! when entries disappear past the scripts.

use tollgate::keys::GROUP;
use tollgate::scripts::stats;

use crate::harness::{TestRedis, until};
use crate::space::*;

const LAST_ENTRY: &str = "return { redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1] }";

/// Waiting, pending, and whether the law holds.
async fn counts(s: &mut Space) -> (u64, u64, bool) {
    let stats = stats::read(&mut s.link, &s.keys).await.unwrap();
    (stats.queues[0].waiting, stats.queues[0].pending, stats.is_conserved())
}

#[tokio::test]
async fn what_waits_is_still_known_after_redis_restarted() {
    let mut redis = TestRedis::private(&["--appendfsync", "always"]);
    for rewrite in [false, true] {
        let mut space = Space::on(TestRedis::server(&redis)).await;
        let s = &mut space;
        s.make(create("c", 99)).await;
        let jobs: Vec<_> = (0..30).map(|i| fresh(redeem("c", &format!("u{i}"), 1))).collect();
        s.enqueue(&jobs).await;
        let entries = s.fetch("w", 10).await;
        s.settle_entries(&entries[..6]).await;
        if rewrite {
            // The rewritten file has Redis's own count of what was fetched; what follows it does not.
            s.run(&["BGREWRITEAOF"]).await;
            let link = &mut s.link;
            until("the rewrite", async || {
                let info: String = link.query(&crate::harness::cmd(&["INFO", "persistence"])).await.unwrap();
                let over = |field: &str| info.contains(&format!("{field}:0\r\n"));
                (over("aof_rewrite_in_progress") && over("aof_rewrite_scheduled")).then_some(())
            })
            .await;
        }
        let more = s.fetch("w", 5).await;
        s.settle_entries(&more[..1]).await;
        assert_eq!(counts(s).await, (15, 8, true));

        redis.kill();
        redis.restart().unwrap();
        s.link = TestRedis::server(&redis).link().await.unwrap();
        assert_eq!(counts(s).await, (15, 8, true), "rewrite: {rewrite}");
        let rest = s.fetch("w", 30).await;
        s.settle_entries(&rest).await;
        s.settle_entries(&[&entries[6..], &more[1..]].concat()).await;
        assert_eq!(counts(s).await, (0, 0, true), "rewrite: {rewrite}");
    }
}

#[tokio::test]
async fn entries_that_disappear_past_the_scripts_are_missed() {
    for words in [
        // A job that waits is deleted; someone acknowledges by hand; a consumer is deleted with its entries.
        &["XDEL", "stream", "waiting"][..],
        &["XACK", "stream", GROUP, "pending"],
        &["XGROUP", "DELCONSUMER", "stream", GROUP, "w"],
    ] {
        let mut space = Space::new().await;
        let s = &mut space;
        let stream = s.keys.queue(&s.queue);
        let entries = s.deliver("w", &[fresh(redeem("none", "u", 1))]).await;
        s.enqueue(&[fresh(redeem("none", "u", 1))]).await;
        let info: Vec<String> =
            s.link.query(&crate::harness::cmd(&["EVAL", LAST_ENTRY, "1", &stream])).await.unwrap();
        let waiting = info[0].clone();
        assert_eq!(counts(s).await, (1, 1, true));
        let words: Vec<&str> = words
            .iter()
            .map(|word| match *word {
                "stream" => stream.as_str(),
                "waiting" => &waiting,
                "pending" => &entries[0].0,
                other => other,
            })
            .collect();
        s.run(&words).await;
        // What was there to settle is settled; what is gone is missed for ever.
        s.fetch("w", 9).await;
        assert!(!counts(s).await.2, "{words:?}");
    }
}
