//! An inventory that is cancelled: nothing of it is sold any more, what is reserved ends, and who bought is known still.

use tollgate::code::Code;
use tollgate::sabotage::Sabotage;
use tollgate::scripts::reservation::{Reservation, cancelled, is_any_due, open_of};
use tollgate::scripts::settle::Answer;

use crate::inventory::*;
use crate::space::*;

/// Everything that is open of an inventory, read step by step.
async fn open_reservations(s: &mut Space, sale: &str) -> Vec<Reservation> {
    let keys = s.keys.clone();
    let (mut cursor, mut all) = (0, Vec::new());
    loop {
        let (next, page) = open_of(&mut s.link, &keys, &inventory(sale), cursor, 2).await.unwrap();
        all.extend(page);
        if next == 0 {
            all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            all.dedup();
            return all;
        }
        cursor = next;
    }
}

#[tokio::test]
async fn a_cancelled_inventory_sells_nothing_and_what_is_reserved_ends() {
    let mut space = Space::new().await;
    let s = &mut space;
    let keys = s.keys.clone();
    // Names that a pattern would take for each other.
    for sale in ["h*[a-z]?", "hall"] {
        open_sale(s, sale, None, &[("A-1", 1), ("A-2", 1), ("A-3", 1), ("floor", 9)]).await;
    }
    let sale = "h*[a-z]?";
    for (name, wish) in [("r1", "A-1"), ("r2", "A-2, floor 2"), ("r3", "floor")] {
        s.settle_as(&id(name), &reserve(sale, "u", wish)).await;
    }
    s.settle_as(&id("other"), &reserve("hall", "u", "A-1")).await;
    s.settle_as(&id("p1"), &purchase(sale, "v", "A-3")).await;
    assert_eq!(s.make(commit(sale, "r2", Some("floor"))).await, Code::Committed);
    assert_eq!(cancelled(&mut s.link, &keys, 9).await.unwrap(), []);
    assert_eq!(s.make(cancel_sale(sale)).await, Code::SaleCancelled);
    audit_passes(s).await;
    for (request, code) in [
        (cancel_sale(sale), Code::InventoryCancelled),
        (close_sale(sale), Code::InventoryCancelled),
        (purchase(sale, "w", "floor"), Code::InventoryCancelled),
        (reserve(sale, "w", "floor"), Code::InventoryCancelled),
        (restock(sale, "floor", 1), Code::InventoryCancelled),
        (set_quantity(sale, "floor", 1, None), Code::InventoryCancelled),
        (commit(sale, "r1", None), Code::InventoryCancelled),
        (commit(sale, "p1", None), Code::InventoryCancelled),
        (extend(sale, "r1", 1), Code::InventoryCancelled),
        (commit(sale, "nobody", None), Code::OrderNotFound),
        (release(sale, "r3", None), Code::Released),
        (release(sale, "r3", None), Code::AlreadyReleased),
    ] {
        assert_eq!(s.make(request.clone()).await, code, "{request:?}");
        audit_passes(s).await;
    }
    // Whoever ends them finds it at once, and nothing else is due.
    assert_eq!(sums(s, sale).await, [7, 3, 2, 2]);
    assert!(is_any_due(&mut s.link, &keys, 0).await.unwrap());
    assert_eq!(cancelled(&mut s.link, &keys, 9).await.unwrap(), [inventory(sale)]);
    let open = open_reservations(s, sale).await;
    assert_eq!(open.iter().map(|open| open.id.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    assert_eq!(expire_due(s, &open[..1], 0).await, [Code::InventoryCancelled]);
    audit_passes(s).await;
    assert_eq!(cancelled(&mut s.link, &keys, 9).await.unwrap(), [inventory(sale)], "one is left");
    assert_eq!(expire_due(s, &open, 0).await, [Code::InventoryCancelled; 2], "and replayed");
    assert_eq!(cancelled(&mut s.link, &keys, 9).await.unwrap(), []);
    assert_eq!(sums(s, sale).await, [10, 0, 2, 0]);
    let again = s.settle_as(&id("r1"), &reserve(sale, "u", "A-1")).await;
    assert!(matches!(again, Answer::Replayed { code: Code::InventoryCancelled, .. }), "{again:?}");
    let kept = s.keys.receipts(tollgate::ids::Bucket::Kept);
    s.run(&["HDEL", &kept, "r1"]).await;
    let again = s.settle_as(&id("r1"), &reserve(sale, "u", "A-1")).await;
    assert!(matches!(again, Answer::Replayed { code: Code::InventoryCancelled, .. }), "{again:?}");
    assert_eq!(s.make(release(sale, "r1", None)).await, Code::InventoryCancelled);
    // The other one goes on.
    assert_eq!(open_reservations(s, "hall").await.len(), 1);
    assert_eq!(s.make(commit("hall", "other", None)).await, Code::Committed);
    let dump = s.dump().await;
    assert!(dump.members("reservations").is_empty());
    assert_eq!(dump.hash(&format!("buyers:{sale}"))["v"], "1");
}

#[tokio::test]
async fn what_is_closed_or_not_loaded_may_be_cancelled_as_well() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "closed", None, &[("A-1", 1)]).await;
    s.settle_as(&id("r"), &reserve("closed", "u", "A-1")).await;
    s.make(tollgate::kinds::InventoryCreate::new(inventory("empty")).into()).await;
    for (request, code) in [
        (close_sale("closed"), Code::Closed),
        (cancel_sale("closed"), Code::SaleCancelled),
        (commit("closed", "r", None), Code::InventoryCancelled),
        (cancel_sale("empty"), Code::SaleCancelled),
        (stock(&[("A-1", 1)]).request(inventory("empty")).into(), Code::InventoryCancelled),
        (purchase("empty", "u", "A-1"), Code::InventoryCancelled),
        (cancel_sale("nowhere"), Code::InventoryNotFound),
    ] {
        assert_eq!(s.make(request.clone()).await, code, "{request:?}");
    }
    audit_passes(s).await;
}

#[tokio::test]
async fn a_cancelled_inventory_that_sells_turns_the_audit_red() {
    let sale = async || {
        let mut space = Space::new().await;
        let s = &mut space;
        open_sale(s, "hall", None, &[("A-1", 1), ("A-2", 1)]).await;
        s.settle_as(&id("r"), &reserve("hall", "u", "A-1")).await;
        s.make(cancel_sale("hall")).await;
        s.make(commit("hall", "r", None)).await;
        tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap()
    };
    assert_eq!(sale().await.violations, []);
    for bug in [Sabotage::CancelledIsCommitted, Sabotage::CancelledIsNotFound] {
        let report = bug.plant(sale()).await;
        let of_sale = |violation: &tollgate_audit::Violation| violation.resource == "inventory:hall";
        assert!(report.violations.iter().any(of_sale), "{bug:?}: {:#?}", report.violations);
    }
}

#[tokio::test]
async fn an_archived_inventory_keeps_what_proves_its_sales_and_nothing_else() {
    let mut space = Space::new().await;
    let s = &mut space;
    let items: Vec<(String, u64)> = (0..100).map(|n| (format!("seat-{n}"), 2)).collect();
    let items: Vec<(&str, u64)> = items.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    open_sale(s, "hall", None, &items).await;
    for n in 0..40 {
        s.make(purchase("hall", &format!("c{}", n % 7), &format!("seat-{n}"))).await;
    }
    s.settle_as(&id("r"), &reserve("hall", "u", "seat-50")).await;
    for (request, code) in [
        (archive_sale("hall"), Code::InventoryOpen),
        (close_sale("hall"), Code::Closed),
        (archive_sale("hall"), Code::ReservationsOpen),
        (commit("hall", "r", None), Code::Committed),
        (archive_sale("hall"), Code::Archived),
        (archive_sale("hall"), Code::InventoryArchived),
        (close_sale("hall"), Code::InventoryArchived),
        (cancel_sale("hall"), Code::InventoryArchived),
        (purchase("hall", "v", "seat-1"), Code::InventoryArchived),
        (purchase("hall", "v", "seat-101"), Code::ItemNotFound),
        (restock("hall", "seat-1", 1), Code::InventoryArchived),
        (release("hall", "r", None), Code::OrderNotFound),
    ] {
        assert_eq!(s.make(request.clone()).await, code, "{request:?}");
        audit_passes(s).await;
    }
    let again = s.settle_as(&id("r"), &reserve("hall", "u", "seat-50")).await;
    assert!(matches!(again, Answer::Replayed { code: Code::Reserved, .. }), "{again:?}");
    let dump = s.dump().await;
    let fields = dump.hash("inventory:hall");
    let told = ["status", "available", "reserved", "sold", "orders", "buyers", "copied"];
    assert_eq!(told.map(|name| fields[name].as_str()), ["archived", "159", "0", "41", "0", "0", "0"]);
    assert_eq!(dump.hash("stock:hall").len(), 13 + 6);
    for key in ["items:hall", "buyers:hall", "orders:hall"] {
        let key = format!("{}{key}", s.keys.head().trim_end_matches("head"));
        assert_eq!(s.number(&["EXISTS", &key]).await, 0, "{key}");
    }
    // Remains are told.
    let orders = s.keys.orders(&inventory("hall"));
    s.run(&["HSET", &orders, "r", "sold\t1\t\t\tu\t{1 seat-1}"]).await;
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    assert!(report.violations.iter().any(|violation| violation.resource == "inventory:hall"));
}
