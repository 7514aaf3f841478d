//! Which queues a worker serves.

use tollgate::ids::QueueName;
use tollgate::scripts::queue::{QueueStatus, queue};

use crate::harness::{Space, redemptions, shared, until};

async fn set(space: &Space, name: &str, status: QueueStatus) {
    let mut link = space.gate.server().link().await.unwrap();
    let name = QueueName::parse(name).unwrap();
    queue(&mut link, space.keys(), &name, Some(status)).await.unwrap();
}

async fn waiting(space: &Space, name: &str) -> u64 {
    let stats = space.stats().await;
    stats.queues.iter().find(|queue| queue.name.as_str() == name).unwrap().waiting
}

#[tokio::test]
async fn a_paused_queue_waits_until_it_is_resumed_also_one_that_was_served_before() {
    let space = Space::on(shared()).await;
    set(&space, "slow", QueueStatus::Paused).await;
    space.enqueue_to("slow", &redemptions("s", 10)).await;
    space.enqueue(&redemptions("d", 10)).await;
    let mut worker = space.worker(&["--listen", "0"]);
    until("the other queue", async || (space.issued().await == 10).then_some(())).await;
    assert_eq!(waiting(&space, "slow").await, 10);
    set(&space, "slow", QueueStatus::Active).await;
    space.drained().await;
    assert_eq!(space.issued().await, 20);
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test]
async fn named_queues_are_opened_and_served_and_no_others() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("d", 5)).await;
    // Sent before anyone opened the queue, by a client that knows no more than XADD.
    space.enqueue_to("mail", &redemptions("m", 600)).await;
    space.enqueue_to("bulk", &redemptions("b", 600)).await;
    let _worker = space.worker(&["-q", "mail,3", "-q", "bulk", "--batch", "10"]);
    until("both queues", async || (space.issued().await == 1_200).then_some(())).await;
    assert_eq!(waiting(&space, "default").await, 5);
    // Someone destroys a group: it is opened again, and what is settled is replayed at most.
    space
        .cmd(&["XGROUP", "DESTROY", &space.keys().queue(&QueueName::parse("mail").unwrap()), "workers"])
        .await;
    space.enqueue_to("mail", &redemptions("again", 5)).await;
    until("the queue again", async || (space.issued().await == 1_205).then_some(())).await;
}
