//! Orders of many lines: a batch of them is settled in several calls, any of which may be the last.

use std::time::Duration;

use futures_util::future::join_all;

use tollgate::code::Code;
use tollgate::ids::{CustomerId, InventoryId, ItemId, JobId, QueueName, ReservationId};
use tollgate::inventory::InventoryState;
use tollgate::job::Job;
use tollgate::kinds::{Commit, InventoryCancel, InventoryCreate, Purchase, Reserve};
use tollgate::lines::{LINES_MAX, Lines};
use tollgate::partition::Partition;
use tollgate::quantity::{Limit, Quantity};
use tollgate::resource::Resource;
use tollgate::resources::{self, Held};
use tollgate::scripts::queue::{self, QueueStatus};
use tollgate::scripts::reservation::held_back;
use tollgate::span_ms::SpanMs;
use tollgate::stock::{Stock, Uploaded};

use crate::harness::{Space, shared, until};

fn item(n: usize) -> ItemId {
    ItemId::parse(format!("article-{n}")).unwrap()
}

fn shop() -> InventoryId {
    InventoryId::parse("shop").unwrap()
}

/// A shop with `each` of 200 articles.
async fn open_shop(space: &Space, each: u64) {
    let mut link = space.tollgate.server().link().await.unwrap();
    let create = JobId::create_inventory(&shop());
    space.tollgate.settle_one(&mut link, &create, &InventoryCreate::new(shop())).await.unwrap();
    let stock = Stock::new((0..200).map(|n| (item(n), Limit::new(each).unwrap()))).unwrap();
    let keys = space.tollgate.keys(space.tollgate.partition_of(Resource::Inventory(&shop())));
    assert_eq!(stock.upload(&mut link, keys, &shop(), |_| ()).await.unwrap(), Uploaded::Whole);
    let load = JobId::load_inventory(&shop());
    space.tollgate.settle_one(&mut link, &load, &stock.request(shop())).await.unwrap();
}

/// Orders of as many lines as there may be, each beginning with another article.
fn long_orders(count: usize) -> Vec<Job> {
    let order = |n: usize| {
        let lines = (0..LINES_MAX).map(|line| (item((n * 7 + line) % 200), Quantity::ONE));
        let request = Purchase {
            inventory: shop(),
            customer: CustomerId::parse(format!("c{}", n % 5)).unwrap(),
            lines: Lines::new(lines).unwrap(),
        };
        Job { id: JobId::parse(format!("order-{n}")).unwrap(), at: None, request: request.into() }
    };
    (0..count).map(order).collect()
}

/// What plain arithmetic says: in the order in which they were sent, whatever is all there is sold.
fn sold_of(orders: usize, each: u64) -> usize {
    let mut left = vec![each; 200];
    let mut sold = 0;
    for n in 0..orders {
        let articles: Vec<usize> = (0..LINES_MAX).map(|line| (n * 7 + line) % 200).collect();
        if articles.iter().all(|article| left[*article] > 0) {
            articles.iter().for_each(|article| left[*article] -= 1);
            sold += 1;
        }
    }
    sold
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_long_orders_is_settled_in_calls_that_may_each_be_the_last() {
    const POINTS: [&str; 3] = ["before_settle", "between_settles", "after_settle"];
    join_all(POINTS.map(async |point| {
        let space = Space::on(shared()).await;
        open_shop(&space, 8).await;
        let orders = long_orders(40);
        space.enqueue(&orders).await;
        space.enqueue(&orders[..3]).await;
        let mut victim = space.worker_with(&["--batch", "50"], &format!("{point}:abort"));
        assert!(!victim.ended().await.success(), "{point}");
        let _worker = space.worker(&[]);
        let stats = space.drained().await;
        let codes = join_all(orders.iter().map(async |order| space.fate(order.id.as_str()).await)).await;
        let sold = codes.iter().filter(|code| *code == "purchased").count();
        // A batch that dies is taken over in parts: then the order of the orders is another.
        if point != "between_settles" {
            assert_eq!(sold, sold_of(40, 8), "{point}");
        }
        assert!(sold > 0 && codes.iter().all(|code| code == "purchased" || code == "sold_out"), "{codes:?}");
        assert_eq!(
            (stats.dead, stats.head.seq),
            (0, 43),
            "{point}: campaign, inventory, list, and each order"
        );
    }))
    .await;
}

/// Sets one article aside, directly.
async fn reserve(space: &Space, id: &str, n: usize, hold_for_ms: u64) {
    let mut link = space.tollgate.server().link().await.unwrap();
    let request = Reserve {
        inventory: shop(),
        customer: CustomerId::parse("c").unwrap(),
        lines: Lines::of(item(n), Quantity::ONE),
        hold_for_ms: SpanMs::new(hold_for_ms).unwrap(),
    };
    let answer = space.tollgate.settle_one(&mut link, &JobId::parse(id).unwrap(), &request).await.unwrap();
    assert_eq!(answer.code(), Some(Code::Reserved));
}

fn commit(id: &str, reservation: &str) -> Job {
    let reservation = ReservationId::parse(reservation).unwrap();
    let request = Commit { inventory: shop(), reservation, lines: None };
    Job { id: JobId::parse(id).unwrap(), at: None, request: request.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_ends_by_itself_and_what_waits_holds_it_back() {
    let space = Space::on(shared()).await;
    open_shop(&space, 1).await;
    let queue = QueueName::default();
    let mut link = space.tollgate.server().link().await.unwrap();
    reserve(&space, "over", 1, 1).await;
    reserve(&space, "paid", 2, 2_000).await;
    reserve(&space, "long", 3, 3_600_000).await;
    let worker = space.worker(&[]);
    until("the end of what is over", async || {
        (space.fate("over").await == "reservation_expired").then_some(())
    })
    .await;
    drop(worker);
    // Sent in time, and nobody takes it: the queue is paused.
    queue::queue(&mut link, space.keys(), &queue, Some(QueueStatus::Paused)).await.unwrap();
    reserve(&space, "later", 4, 3_000).await;
    space.enqueue(&[commit("k1", "later")]).await;
    let _worker = space.worker(&[]);
    let over_ms = space.tollgate.now(&mut link, Partition::FIRST).await.unwrap().ms() + 6_000;
    until("time to go by", async || {
        (space.tollgate.now(&mut link, Partition::FIRST).await.unwrap().ms() > over_ms).then_some(())
    })
    .await;
    assert_eq!(space.fate("later").await, "reserved", "a commit waits that was sent before its end");
    let stats = space.try_stats().await.unwrap();
    let held = held_back(&mut link, space.keys(), &stats, Duration::ZERO).await.unwrap();
    assert_eq!(held.map(|held| held.by), Some(queue.clone()));
    queue::queue(&mut link, space.keys(), &queue, Some(QueueStatus::Active)).await.unwrap();
    until("the commit", async || (space.fate("k1").await == "committed").then_some(())).await;
    assert_eq!(space.fate("long").await, "reserved");
    space.drained().await;
}

/// How much of the shop is available and reserved, and how many reservations are open.
async fn shop_state(space: &Space) -> (u64, u64, u64) {
    let mut link = space.tollgate.server().link().await.unwrap();
    let shops = resources::read(&mut link, space.keys(), &[shop()]).await.unwrap();
    let [Held::State(state)] = &shops[..] else { panic!("{shops:?}") };
    let state: &InventoryState = state;
    (state.available, state.reserved, state.open)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_of_a_cancelled_inventory_ends_whoever_dies() {
    let space = Space::on(shared()).await;
    open_shop(&space, 1).await;
    for n in 0..100 {
        reserve(&space, &format!("cart-{n}"), n, 3_600_000).await;
    }
    space.settle(&JobId::parse("off").unwrap(), &InventoryCancel { inventory: shop() }).await;
    assert_eq!(shop_state(&space).await, (100, 100, 100));
    // Each dies after the first page of many that it ends.
    for _ in 0..2 {
        let (.., before) = shop_state(&space).await;
        let mut victim = space.worker_with(&[], "after_releases:abort");
        assert!(!victim.ended().await.success());
        let (.., after) = shop_state(&space).await;
        assert!(0 < after && after < before, "{before} {after}");
    }
    let _worker = space.worker(&[]);
    until("the end of all reservations", async || (shop_state(&space).await == (200, 0, 0)).then_some(()))
        .await;
    for n in [0, 99] {
        assert_eq!(space.fate(&format!("cart-{n}")).await, "inventory_cancelled");
    }
    assert_eq!(
        space.stats().await.head.seq,
        204,
        "campaign, inventory, list, its end, each cart and its end"
    );
}
