//! Orders of many lines: a batch of them is settled in several calls, any of which may be the last.

use futures_util::future::join_all;
use tollgate::ids::{CustomerId, InventoryId, ItemId, JobId};
use tollgate::job::Job;
use tollgate::kinds::{InventoryCreate, Purchase};
use tollgate::lines::{LINES_MAX, Lines};
use tollgate::quantity::{Limit, Quantity};
use tollgate::resource::Resource;
use tollgate::stock::{Stock, Uploaded};

use crate::harness::{Space, shared};

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
