//! Limits per customer that items have of their own.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::kinds::{InventoryCreate, Request};
use tollgate::quantity::{Limit, Quantity};
use tollgate::sabotage::Sabotage;
use tollgate::scripts::reservation::due;
use tollgate::stock::{Stock, StockItem, Uploaded};

use crate::inventory::*;
use crate::races::race;
use crate::space::*;

/// Items as `(name, quantity, limit)`; 0 is none.
fn limited(items: &[(&str, u64, u64)]) -> Stock {
    let there = |(name, quantity, most): &(&str, u64, u64)| {
        let quantity = Limit::new(*quantity).unwrap();
        (item(name), StockItem { quantity, per_customer: Quantity::new(*most) })
    };
    Stock::new(items.iter().map(there)).unwrap()
}

async fn open_limited(s: &mut Space, per_customer: Option<u64>, items: &[(&str, u64, u64)]) {
    let per_customer = per_customer.and_then(Quantity::new);
    let create = InventoryCreate { per_customer, ..InventoryCreate::new(inventory("hall")) };
    assert_eq!(s.make(create.into()).await, Code::InventoryCreated);
    load(s, "hall", &limited(items)).await;
}

/// What is told of the last line: the customer's count, and by item.
async fn told(s: &mut Space) -> (u64, String) {
    let (seq, keys) = (s.dump().await.hash("head")["seq"].parse().unwrap(), s.keys.clone());
    let line = tollgate::journal::line_at(&mut s.link, &keys, seq).await.unwrap().unwrap().unwrap();
    (line.after("held").unwrap_or_default(), line.told.unwrap_or_default())
}

async fn asked(s: &mut Space, wishes: &[(Request, Code, u64, &str)]) {
    for (request, code, held, by_item) in wishes {
        assert_eq!(s.make(request.clone()).await, *code, "{request:?}");
        assert_eq!(told(s).await, (*held, (*by_item).to_owned()), "{request:?}");
        audit_passes(s).await;
    }
}

#[tokio::test]
async fn an_items_own_limit_stands_beside_that_of_the_inventory() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_limited(s, Some(6), &[("A-1", 9, 2), ("A-2", 9, 1), ("floor", 90, 0)]).await;
    s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor")).await;
    s.settle_as(&id("r"), &reserve("hall", "u", "A-2")).await;
    use Code::*;
    asked(
        s,
        &[
            (purchase("hall", "u", "A-1 2"), CustomerLimitReached, 3, "{1 A-1}"),
            (purchase("hall", "u", "A-1, A-2"), CustomerLimitReached, 3, "{1 A-1}{1 A-2}"),
            (reserve("hall", "u", "A-2, floor"), CustomerLimitReached, 3, "{1 A-2}"),
            (purchase("hall", "u", "floor 4"), CustomerLimitReached, 3, ""),
            (purchase("hall", "u", "A-1, floor"), Purchased, 5, "{2 A-1}"),
            (purchase("hall", "u", "floor"), Purchased, 6, ""),
            // Others have theirs.
            (purchase("hall", "v", "A-1 2, A-2"), Purchased, 3, "{2 A-1}{1 A-2}"),
            // It falls with what comes back.
            (release("hall", "r", None), Released, 5, "{0 A-2}"),
            (give_back("hall", "o", Some("A-1")), Returned, 4, "{1 A-1}"),
            (purchase("hall", "u", "A-1, A-2"), Purchased, 6, "{2 A-1}{1 A-2}"),
            (exchange("hall", "o", "floor", "A-1"), CustomerLimitReached, 6, "{2 A-1}"),
            (exchange("hall", "o", "floor", "A-2"), CustomerLimitReached, 6, "{1 A-2}"),
            // Restocked and set anew, an item has the limit that it had.
            (restock("hall", "A-1", 3), Restocked, 0, ""),
            (set_quantity("hall", "A-1", 7, None), QuantitySet, 0, ""),
            (purchase("hall", "w", "A-1 3"), CustomerLimitReached, 0, "{0 A-1}"),
            (purchase("hall", "w", "A-1 2"), Purchased, 2, "{2 A-1}"),
        ],
    )
    .await;
    let dump = s.dump().await;
    assert_eq!(dump.hash("items:hall")["0"], "\nA-1\t5\t0\t2\nA-2\t7\t0\t1\nfloor\t87\t0\n");
    let buyers = dump.hash("buyers:hall");
    let names: Vec<&str> = buyers.keys().map(String::as_str).collect();
    assert_eq!(names, ["u", "u\tA-1", "u\tA-2", "v", "v\tA-1", "v\tA-2", "w", "w\tA-1"]);
    let head = dump.hash("inventory:hall");
    assert_eq!([&head["buyers"], &head["item_counts"]], ["3", "5"]);
}

#[tokio::test]
async fn a_count_falls_when_a_cart_expires_and_moves_with_an_exchange() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_limited(s, None, &[("A-1", 2, 1), ("A-2", 2, 1), ("floor", 9, 0)]).await;
    s.settle_as(&id("r"), &reserve_for("hall", "u", "A-1, floor", 1)).await;
    use Code::*;
    asked(
        s,
        &[
            (exchange("hall", "r", "A-1", "A-2"), Exchanged, 2, "{0 A-1}{1 A-2}"),
            (exchange("hall", "r", "floor", "A-2"), CustomerLimitReached, 2, "{1 A-2}"),
            (purchase("hall", "u", "A-2"), CustomerLimitReached, 2, "{1 A-2}"),
            (purchase("hall", "u", "A-1"), Purchased, 3, "{1 A-1}"),
        ],
    )
    .await;
    let (keys, decided_ms) = (s.keys.clone(), s.now_ms().await);
    later_than(s, decided_ms + 1).await;
    let over = due(&mut s.link, &keys, u64::MAX >> 11, 10).await.unwrap();
    assert_eq!(expire_due(s, &over, u64::MAX >> 11).await, [ReservationExpired]);
    assert_eq!(told(s).await, (1, "{0 A-2}".to_owned()));
    s.settle_as(&id("o"), &purchase("hall", "u", "A-2")).await;
    asked(s, &[(commit("hall", "r", None), ReservationExpired, 2, "")]).await;
    // One batch sees what the orders before it took.
    let wishes = [
        (purchase("hall", "v", "A-1"), Purchased),
        (reserve("hall", "v", "A-1"), SoldOut),
        (give_back("hall", "o", None), Returned),
        (reserve("hall", "u", "A-2"), Reserved),
        (purchase("hall", "u", "A-2"), CustomerLimitReached),
    ];
    let jobs: Vec<_> = wishes.iter().map(|(request, _)| (JobId::fresh(), request)).collect();
    let batch: Vec<_> = jobs.iter().map(|(id, request)| (None, id, *request)).collect();
    let answers = s.settle(&batch).await.unwrap().answers;
    let codes: Vec<Code> = answers.iter().map(|answer| answer.code().unwrap()).collect();
    assert_eq!(codes, wishes.map(|(_, code)| code));
    audit_passes(s).await;
    // Whoever archives it clears the counts, too.
    s.make(cancel_sale("hall")).await;
    let over = due(&mut s.link, &keys, u64::MAX >> 11, 10).await.unwrap();
    let of_orders: Vec<_> = over.into_iter().filter(|one| !one.id.as_str().is_empty()).collect();
    assert_eq!(expire_due(s, &of_orders, u64::MAX >> 11).await, [InventoryCancelled]);
    audit_passes(s).await;
    let archived = s.make(archive_sale("hall")).await;
    assert_eq!(archived.class(), tollgate::code::Class::Applied);
    assert_eq!(s.dump().await.hash("inventory:hall")["item_counts"], "0");
    audit_passes(s).await;
}

#[tokio::test]
async fn however_many_race_a_customer_has_what_the_item_allows() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_limited(s, None, &[("A-1", 64, 3), ("floor", 64, 0)]).await;
    let answers = race(s, |_| JobId::fresh(), |_| purchase("hall", "u", "A-1, floor")).await;
    let sold = answers.iter().filter(|answer| answer.code() == Some(Code::Purchased)).count();
    assert_eq!(sold, 3, "{answers:?}");
    audit_passes(s).await;
}

/// What was lost of a list before it was loaded is uploaded again: nobody has to give the inventory up.
#[tokio::test]
async fn a_list_that_was_lost_in_part_is_uploaded_again() {
    let mut space = Space::new().await;
    let s = &mut space;
    let names: Vec<String> = (0..300).map(|n| format!("seat-{n}")).collect();
    let seats: Vec<(&str, u64, u64)> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
    let list = limited(&seats);
    s.make(InventoryCreate::new(inventory("hall")).into()).await;
    let (keys, hall) = (s.keys.clone(), inventory("hall"));
    let key = keys.stock(&hall);
    for lost in [&["HDEL", &key, "7"][..], &["HDEL", &key, "units"], &["HDEL", &key, "name"], &["DEL", &key]]
    {
        let uploaded = list.upload(&mut s.link, &keys, &hall, |_| ()).await.unwrap();
        assert_eq!(uploaded, Uploaded::Whole);
        s.run(lost).await;
        assert_eq!(s.make(list.request(hall.clone()).into()).await, Code::StockIncomplete, "{lost:?}");
    }
    load(s, "hall", &list).await;
    assert_eq!(s.make(purchase("hall", "u", "seat-299")).await, Code::Purchased);
    audit_passes(s).await;
}

#[tokio::test]
async fn a_planted_bug_turns_the_audit_red() {
    let sale = async || {
        let mut space = Space::new().await;
        let s = &mut space;
        open_limited(s, None, &[("A-1", 9, 1), ("floor", 9, 0)]).await;
        s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor")).await;
        s.make(purchase("hall", "u", "A-1")).await;
        s.make(give_back("hall", "o", Some("A-1"))).await;
        tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap()
    };
    assert_eq!(sale().await.violations, []);
    for bug in [Sabotage::ItemLimitIgnored, Sabotage::ItemCountKept] {
        let report = bug.plant(sale()).await;
        let of_sale = |violation: &tollgate_audit::Violation| violation.resource == "inventory:hall";
        assert!(report.violations.iter().any(of_sale), "{bug:?}: {:#?}", report.violations);
    }
}
