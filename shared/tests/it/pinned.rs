//! One slow entry at the head of a stream keeps the trim from everything behind it: past 50,000 settled entries
//! they are deleted singly, and once the slow one is settled the trim takes the rest.

use crate::space::*;

/// Adds entries, reads them as settled without their replies, and counts them as settle would.
const FILL: &str = "#!lua
for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'job', 'x') end
redis.call('XREADGROUP', 'GROUP', 'workers', 'filler', 'COUNT', ARGV[1], 'NOACK', 'STREAMS', KEYS[1], '>')
redis.call('HINCRBY', KEYS[2], 'acked', ARGV[1])
redis.call('HINCRBY', KEYS[2], 'acked:default', ARGV[1])";

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

    // At the bound nothing is deleted; past it only what this call acknowledged.
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
    s.settle_entries(&entries).await;
    assert_eq!(length(s).await, 50_002);
    let jobs: Vec<_> = (0..3).map(|_| fresh(redeem("c", "u", 1))).collect();
    let entries = s.deliver("w", &jobs).await;
    s.settle_entries(&entries[..2]).await;
    assert_eq!(length(s).await, 50_003, "two of the three are gone");
    // A second acknowledgement of the same, late, deletes nothing more.
    s.settle_entries(&entries[..2]).await;
    assert_eq!(length(s).await, 50_003);
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].waiting, stats.queues[0].pending, stats.head.acked), (0, 2, 50_003));

    // The pin goes: what was kept is trimmed, a node at a time, with each settle.
    s.settle_entries(&slow).await;
    for _ in 0..8 {
        let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
        s.settle_entries(&entries).await;
    }
    assert!(length(s).await > 0);
    s.settle_entries(&entries[2..]).await;
    for _ in 0..8 {
        let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
        s.settle_entries(&entries).await;
    }
    let length = length(s).await;
    assert!(length < 300, "{length} entries are left, more than the node that the last one is in");
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].waiting, stats.queues[0].pending), (0, 0));
}
