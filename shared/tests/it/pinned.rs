//! One slow entry at the head of a stream keeps the trim from everything behind it: past 50,000 settled entries
//! they are deleted singly, and once the slow one is settled the trim takes the rest.

use tollgate::scripts::trim;

use crate::space::*;

/// Adds entries, reads them as settled without their replies, and counts them as settle would.
const FILL: &str = "#!lua
for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'job', 'x') end
redis.call('HINCRBY', KEYS[2], 'acked', ARGV[1])
redis.call('HINCRBY', KEYS[2], 'acked:default', ARGV[1])
redis.call('HINCRBY', KEYS[2], 'taken_count:default', ARGV[1])
redis.call('HSET', KEYS[2], 'taken:default', redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1])";

#[tokio::test]
async fn a_pinned_stream_stays_bounded_and_recovers() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 99)).await;
    let stream = s.keys.queue(&s.queue);
    let slow = s.deliver("slow", &[fresh(redeem("c", "u", 1))]).await;
    let head = s.keys.head();
    s.run(&["EVAL", FILL, "2", &stream, &head, "50000"]).await;
    let length = async |s: &mut Space| s.number(&["XLEN", &stream]).await;

    let name = s.queue.clone();
    let trimmed = async |s: &mut Space| {
        let mut removed = 0;
        loop {
            let trimmed = trim::trim(&mut s.link, &s.keys, &name, trim::KEPT_MAX).await.unwrap();
            removed += trimmed.removed;
            if !trimmed.is_unfinished {
                return removed;
            }
        }
    };

    // At the bound nothing is deleted; past it only what is settled.
    assert_eq!(trimmed(s).await, 0);
    let jobs: Vec<_> = (0..3).map(|_| fresh(redeem("c", "u", 1))).collect();
    let entries = s.deliver("w", &jobs).await;
    s.settle_entries(&entries[..2]).await;
    assert_eq!(length(s).await, 50_004);
    assert_eq!((trimmed(s).await, trimmed(s).await), (2, 0));
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].waiting, stats.queues[0].in_flight, stats.head.acked), (0, 2, 50_002));

    // The slow row goes: what it kept is trimmed, a node at a time.
    s.settle_entries(&slow).await;
    trimmed(s).await;
    let left = length(s).await;
    assert!(left < 300, "{left} entries are left, more than the nodes at both ends");
    s.settle_entries(&entries[2..]).await;
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].waiting, stats.queues[0].in_flight), (0, 0));
}

/// A stream is trimmed as it is settled, without anybody's asking.
#[tokio::test]
async fn what_is_settled_is_trimmed_on_the_way() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 99_999)).await;
    for _ in 0..20 {
        let jobs: Vec<_> = (0..100).map(|_| fresh(redeem("c", "u", 1))).collect();
        let entries = s.deliver("w", &jobs).await;
        s.settle_entries(&entries).await;
    }
    let stream = s.keys.queue(&s.queue);
    let length = s.number(&["XLEN", &stream]).await;
    assert!(length <= 512 + 200, "{length} entries are left of 2,000 settled ones");
}
