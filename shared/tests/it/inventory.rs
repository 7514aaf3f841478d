//! Inventories: what is sold, to whom, and that nothing is sold twice.

use tollgate::code::Code;
use tollgate::ids::{InventoryId, ItemId, JobId};
use tollgate::kinds::{
    Commit, Exchange, Extend, InventoryArchive, InventoryCancel, InventoryClose, InventoryCreate,
    InventoryRestock, InventorySetQuantity, Purchase, Release, Request, Reserve, Return,
};
use tollgate::lines::Lines;
use tollgate::quantity::{Limit, Quantity};
use tollgate::sabotage::Sabotage;
use tollgate::scripts::reservation::{Reservation, due, expire, horizon};
use tollgate::scripts::settle::Answer;
use tollgate::span_ms::SpanMs;
use tollgate::stock::{Stock, Uploaded};

use crate::space::*;

pub(crate) fn inventory(id: &str) -> InventoryId {
    InventoryId::parse(id).unwrap()
}

pub(crate) fn item(id: &str) -> ItemId {
    ItemId::parse(id).unwrap()
}

/// Lines as `a 2, b` says them.
pub(crate) fn lines(text: &str) -> Lines {
    let line = |line: &str| {
        let (name, quantity) = line.rsplit_once(' ').unwrap_or((line, "1"));
        (item(name), Quantity::parse("quantity", quantity).unwrap())
    };
    Lines::new(text.split(", ").map(line)).unwrap()
}

pub(crate) fn purchase(id: &str, customer: &str, text: &str) -> Request {
    Purchase { inventory: inventory(id), customer: customer.parse().unwrap(), lines: lines(text) }.into()
}

pub(crate) fn reserve(id: &str, customer: &str, text: &str) -> Request {
    reserve_for(id, customer, text, 600_000)
}

pub(crate) fn reserve_for(id: &str, customer: &str, text: &str, hold_for_ms: u64) -> Request {
    let hold_for_ms = SpanMs::new(hold_for_ms).unwrap();
    Reserve { inventory: inventory(id), customer: customer.parse().unwrap(), lines: lines(text), hold_for_ms }
        .into()
}

pub(crate) fn commit(sale: &str, reservation: &str, text: Option<&str>) -> Request {
    let (inventory, reservation) = (inventory(sale), id(reservation).into());
    Commit { inventory, reservation, lines: text.map(lines) }.into()
}

pub(crate) fn release(sale: &str, reservation: &str, text: Option<&str>) -> Request {
    let (inventory, reservation) = (inventory(sale), id(reservation).into());
    Release { inventory, reservation, lines: text.map(lines) }.into()
}

pub(crate) fn extend(sale: &str, reservation: &str, hold_for_ms: u64) -> Request {
    let hold_for_ms = SpanMs::new(hold_for_ms).unwrap();
    Extend { inventory: inventory(sale), reservation: id(reservation).into(), hold_for_ms }.into()
}

pub(crate) fn give_back(sale: &str, order: &str, text: Option<&str>) -> Request {
    let (inventory, order) = (inventory(sale), id(order).into());
    Return { inventory, order, lines: text.map(lines) }.into()
}

pub(crate) fn exchange(sale: &str, order: &str, from: &str, to: &str) -> Request {
    let (inventory, order) = (inventory(sale), id(order).into());
    Exchange { inventory, order, from: item(from), to: item(to) }.into()
}

pub(crate) fn stock(items: &[(&str, u64)]) -> Stock {
    Stock::new(items.iter().map(|(name, count)| (item(name), Limit::new(*count).unwrap()))).unwrap()
}

pub(crate) fn restock(id: &str, name: &str, quantity: u64) -> Request {
    let quantity = Quantity::new(quantity).unwrap();
    InventoryRestock { inventory: inventory(id), item: item(name), quantity }.into()
}

pub(crate) fn set_quantity(id: &str, name: &str, quantity: u64, expected: Option<u64>) -> Request {
    let limit = |number| Limit::new(number).unwrap();
    let (quantity, expected) = (limit(quantity), expected.map(limit));
    InventorySetQuantity { inventory: inventory(id), item: item(name), quantity, expected }.into()
}

pub(crate) fn close_sale(id: &str) -> Request {
    InventoryClose { inventory: inventory(id) }.into()
}

pub(crate) fn archive_sale(id: &str) -> Request {
    InventoryArchive { inventory: inventory(id) }.into()
}

pub(crate) fn cancel_sale(id: &str) -> Request {
    InventoryCancel { inventory: inventory(id) }.into()
}

/// An inventory with these items, and perhaps a bound per customer.
pub(crate) async fn open_sale(s: &mut Space, id: &str, per_customer: Option<u64>, items: &[(&str, u64)]) {
    let per_customer = per_customer.and_then(Quantity::new);
    let create = InventoryCreate { per_customer, ..InventoryCreate::new(inventory(id)) };
    assert_eq!(s.make(create.into()).await, Code::InventoryCreated);
    load(s, id, &stock(items)).await;
}

pub(crate) async fn load(s: &mut Space, id: &str, stock: &Stock) {
    let keys = s.keys.clone();
    let uploaded = stock.upload(&mut s.link, &keys, &inventory(id), |_| ()).await.unwrap();
    assert_eq!(uploaded, Uploaded::Whole);
    assert_eq!(s.make(stock.request(inventory(id)).into()).await, Code::InventoryLoaded);
}

pub(crate) async fn audit_passes(s: &Space) {
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    assert_eq!(report.violations, [], "{report:?}");
}

/// Without the list nothing of its sums can be said; that the journal has no line for it would be another damage.
#[tokio::test]
async fn a_list_that_is_gone_is_what_the_audit_names() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "concert", None, &[("A-1", 1), ("floor", 5)]).await;
    s.settle_as(&id("o"), &purchase("concert", "u", "floor 2")).await;
    s.link.run(&crate::harness::cmd(&["DEL", &s.keys.stock(&inventory("concert"))])).await.unwrap();
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    let what: Vec<&str> = report.violations.iter().map(|violation| violation.what.as_str()).collect();
    assert!(what.iter().any(|what| what.contains("the list of its items")), "{what:?}");
    assert!(!what.iter().any(|what| what.contains("the journal does not have")), "{what:?}");
}

#[tokio::test]
async fn what_is_sold_is_gone_and_the_last_ticket_is_sold_once() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "concert", None, &[("A-1", 1), ("A-2", 1), ("floor", 5)]).await;
    let id = JobId::fresh();
    let sold = s.settle_as(&id, &purchase("concert", "u", "A-1, floor 2")).await;
    assert_eq!(sold.code(), Some(Code::Purchased));
    let again = s.settle_as(&id, &purchase("concert", "u", "floor, A-1, floor")).await;
    assert!(matches!(again, Answer::Replayed { code: Code::Purchased, .. }), "{again:?}");
    for (customer, wish, code) in [
        ("v", "A-1", Code::SoldOut),
        ("v", "A-2, A-1", Code::SoldOut),
        ("v", "floor 4", Code::SoldOut),
        ("v", "A-2, B-9", Code::ItemNotFound),
        ("v", "A-2, floor 3", Code::Purchased),
        ("u", "A-2", Code::SoldOut),
    ] {
        assert_eq!(s.make(purchase("concert", customer, wish)).await, code, "{wish}");
    }
    let dump = s.dump().await;
    let fields = dump.hash("inventory:concert");
    let field = |name: &str| fields[name].as_str();
    assert_eq!([field("available"), field("reserved"), field("sold"), field("copied")], ["0", "0", "7", "1"]);
    assert_eq!([field("buyers"), field("orders"), field("status")], ["2", "2", "open"]);
    assert_eq!(dump.hash("items:concert")["0"], "\nA-1\t0\t0\nA-2\t0\t0\nfloor\t0\t0\n");
    assert_eq!(dump.hash("stock:concert")["0"], "\nA-1\t1\t0\nA-2\t1\t0\nfloor\t5\t0\n");
    assert_eq!(dump.hash("buyers:concert")["u"], "3");
    audit_passes(s).await;
}

#[tokio::test]
async fn a_whole_batch_sees_what_each_order_took() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "shop", Some(3), &[("pen", 4), ("ink", 1)]).await;
    let wishes = [
        ("u", "pen 2", Code::Purchased),
        ("u", "pen, ink", Code::CustomerLimitReached),
        ("v", "pen, ink", Code::Purchased),
        ("u", "ink", Code::SoldOut),
        ("u", "pen", Code::Purchased),
        ("w", "pen", Code::SoldOut),
    ];
    let jobs: Vec<_> =
        wishes.iter().map(|(who, wish, _)| (JobId::fresh(), purchase("shop", who, wish))).collect();
    let batch: Vec<_> = jobs.iter().map(|(id, request)| (None, id, request)).collect();
    let codes: Vec<Code> =
        s.settle(&batch).await.unwrap().answers.iter().map(|answer| answer.code().unwrap()).collect();
    assert_eq!(codes, wishes.map(|(.., code)| code));
    audit_passes(s).await;
}

#[tokio::test]
async fn an_operator_restocks_counts_and_closes() {
    let mut space = Space::new().await;
    let s = &mut space;
    for request in [restock("shop", "pen", 1), set_quantity("shop", "pen", 1, None), close_sale("shop")] {
        assert_eq!(s.make(request).await, Code::InventoryNotFound);
    }
    assert_eq!(s.make(purchase("shop", "u", "pen")).await, Code::InventoryNotFound);
    assert_eq!(s.make(InventoryCreate::new(inventory("shop")).into()).await, Code::InventoryCreated);
    assert_eq!(s.make(InventoryCreate::new(inventory("shop")).into()).await, Code::InventoryExists);
    assert_eq!(s.make(restock("shop", "pen", 1)).await, Code::NotLoaded);
    assert_eq!(s.make(purchase("shop", "u", "pen")).await, Code::NotStarted);
    load(s, "shop", &stock(&[("pen", 0)])).await;
    for (request, code) in [
        (purchase("shop", "u", "pen"), Code::SoldOut),
        (restock("shop", "ink", 2), Code::ItemNotFound),
        (restock("shop", "pen", 2), Code::Restocked),
        (purchase("shop", "u", "pen"), Code::Purchased),
        (set_quantity("shop", "pen", 5, Some(2)), Code::QuantityNotAsExpected),
        (set_quantity("shop", "pen", 5, Some(1)), Code::QuantitySet),
        (restock("shop", "pen", tollgate::amount::NUMBER_MAX - 5), Code::QuantityLimitReached),
        (restock("shop", "pen", tollgate::amount::NUMBER_MAX - 6), Code::Restocked),
        (set_quantity("shop", "pen", tollgate::amount::NUMBER_MAX, None), Code::QuantityLimitReached),
        (set_quantity("shop", "pen", 0, None), Code::QuantitySet),
        (set_quantity("shop", "pen", 3, None), Code::QuantitySet),
        (stock(&[("pen", 1)]).request(inventory("shop")).into(), Code::AlreadyLoaded),
        (close_sale("shop"), Code::Closed),
        (close_sale("shop"), Code::Ended),
        (purchase("shop", "u", "pen"), Code::Ended),
        (restock("shop", "pen", 1), Code::Ended),
    ] {
        assert_eq!(s.make(request.clone()).await, code, "{request:?}");
    }
    audit_passes(s).await;
}

/// An upload may stop anywhere: nothing is sold from it, and the same again, or another list, is loaded whole.
#[tokio::test]
async fn a_list_is_loaded_whole_or_not_at_all() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(InventoryCreate::new(inventory("hall")).into()).await;
    let names: Vec<String> = (0..5_000).map(|n| format!("seat-{n}")).collect();
    let seats = |count: usize| {
        let of = |name: &String| (item(name), Limit::new(1).unwrap());
        Stock::new(names[..count].iter().map(of)).unwrap()
    };
    let (wrong, right) = (seats(4_000), seats(5_000));
    let keys = s.keys.clone();
    // The process dies after the first call.
    let mut calls = 0;
    let first = async {
        wrong
            .upload(&mut s.link, &keys, &inventory("hall"), |items| {
                calls += 1;
                assert!(items < 4_000, "the test wants more than one call");
                panic!("killed");
            })
            .await
    };
    let killed = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(first)).await;
    assert!(killed.is_err());
    let mut space = space.another().await;
    let s = &mut space;
    for list in [&wrong, &right] {
        assert_eq!(s.make(list.request(inventory("hall")).into()).await, Code::StockIncomplete);
    }
    assert_eq!(s.make(purchase("hall", "u", "seat-7")).await, Code::NotStarted);
    load(s, "hall", &right).await;
    assert_eq!(
        wrong.upload(&mut s.link, &keys, &inventory("hall"), |_| ()).await.unwrap(),
        Uploaded::NotLoading
    );
    assert_eq!(s.make(purchase("hall", "u", "seat-4999, seat-0, seat-17")).await, Code::Purchased);
    let there = tollgate::resources::read(&mut s.link, &keys, &[inventory("hall")]).await.unwrap();
    let [tollgate::resources::Held::State(state)] = &there[..] else { panic!("{there:?}") };
    let hall = inventory("hall");
    let wanted = [item("seat-17"), item("seat-18"), item("x")];
    let found = tollgate::inventory::items(&mut s.link, &keys, (&hall, state), &wanted).await.unwrap();
    let on_hand: Vec<_> = found.iter().map(|item| item.map(|item| item.on_hand)).collect();
    assert_eq!(on_hand, [Some(0), Some(1), None]);
    audit_passes(s).await;
}

/// What there is of an inventory: available, reserved, sold, open reservations.
pub(crate) async fn sums(s: &mut Space, sale: &str) -> [u64; 4] {
    let fields = s.dump().await.hash(&format!("inventory:{sale}"));
    ["available", "reserved", "sold", "open"].map(|name| fields[name].parse().unwrap())
}

#[tokio::test]
async fn a_reservation_is_committed_or_released_and_never_both() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "hall", Some(4), &[("A-1", 1), ("A-2", 1), ("floor", 5)]).await;
    assert_eq!(
        s.settle_as(&id("r1"), &reserve("hall", "u", "A-1, floor 2")).await.code(),
        Some(Code::Reserved)
    );
    assert_eq!(sums(s, "hall").await, [4, 3, 0, 1]);
    audit_passes(s).await;
    for (request, code) in [
        (purchase("hall", "v", "A-1"), Code::SoldOut),
        (reserve("hall", "u", "floor 2"), Code::CustomerLimitReached),
        (commit("hall", "r2", None), Code::OrderNotFound),
        (commit("hall", "r1", Some("A-2")), Code::NotReserved),
        (commit("hall", "r1", Some("floor 3")), Code::NotReserved),
        (commit("hall", "r1", Some("A-1, floor")), Code::Committed),
        (commit("hall", "r1", Some("A-1")), Code::AlreadyCommitted),
        (release("hall", "r1", Some("A-1")), Code::AlreadyCommitted),
        (extend("hall", "r1", 1), Code::Extended),
        (release("hall", "r1", None), Code::Released),
        (release("hall", "r1", None), Code::AlreadyCommitted),
        (commit("hall", "r1", None), Code::AlreadyCommitted),
        (purchase("hall", "u", "floor 2"), Code::Purchased),
        (purchase("hall", "u", "floor"), Code::CustomerLimitReached),
        (close_sale("hall"), Code::Closed),
    ] {
        assert_eq!(s.make(request.clone()).await, code, "{request:?}");
        audit_passes(s).await;
    }
    assert_eq!(sums(s, "hall").await, [3, 0, 4, 0]);
    let dump = s.dump().await;
    assert!(dump.members("reservations").is_empty());
    let row = &dump.hash("orders:hall")["r1"];
    assert!(row.starts_with("sold\t") && row.ends_with("\tu\t{1 A-1}{0,1,1 floor}"), "{row:?}");
    // It answers for its id also where its receipt is gone.
    let kept = s.keys.receipts(tollgate::ids::Bucket::Kept);
    s.run(&["HDEL", &kept, "r1"]).await;
    let again = s.settle_as(&id("r1"), &reserve("hall", "u", "A-1, floor 2")).await;
    assert!(matches!(again, Answer::Replayed { code: Code::Reserved, .. }), "{again:?}");
    let other = s.settle_as(&id("r1"), &reserve("hall", "u", "floor")).await;
    assert!(matches!(other, Answer::Mismatch { .. }), "{other:?}");
}

#[tokio::test]
async fn what_a_batch_reserves_it_may_commit_and_release() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "hall", None, &[("A-1", 1), ("floor", 2)]).await;
    let wishes = [
        ("r1", reserve("hall", "u", "A-1"), Code::Reserved),
        ("r2", reserve("hall", "v", "floor 2"), Code::Reserved),
        ("k1", commit("hall", "r1", None), Code::Committed),
        ("p1", purchase("hall", "w", "floor"), Code::SoldOut),
        ("l1", release("hall", "r2", Some("floor")), Code::Released),
        ("p2", purchase("hall", "w", "floor"), Code::Purchased),
        ("k2", commit("hall", "r2", None), Code::Committed),
        ("l2", release("hall", "r1", None), Code::AlreadyCommitted),
    ];
    let ids: Vec<JobId> = wishes.iter().map(|(name, ..)| id(name)).collect();
    let batch: Vec<_> = ids.iter().zip(&wishes).map(|(id, (_, request, _))| (None, id, request)).collect();
    let answers = s.settle(&batch).await.unwrap().answers;
    let codes: Vec<Code> = answers.iter().map(|answer| answer.code().unwrap()).collect();
    assert_eq!(codes, wishes.map(|(.., code)| code));
    audit_passes(s).await;
}

/// Waits until the server's time is later.
pub(crate) async fn later_than(s: &mut Space, ms: u64) {
    while s.now_ms().await <= ms {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// Ends what may end; answers the codes, in the order of what is due.
pub(crate) async fn expire_due(s: &mut Space, due: &[Reservation], as_of_ms: u64) -> Vec<Code> {
    let keys = s.keys.clone();
    let answers = expire(&mut s.link, &keys, due, as_of_ms).await.unwrap();
    answers.into_iter().map(|answer| answer.code().unwrap()).collect()
}

#[tokio::test]
async fn a_commit_wins_until_the_release_is_settled_and_what_waits_holds_it_back() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "hall", None, &[("A-1", 1), ("A-2", 1), ("A-3", 1)]).await;
    for (name, seat) in [("r1", "A-1"), ("r2", "A-2"), ("r3", "A-3")] {
        let hold_for_ms = if name == "r3" { 3_600_000 } else { 1 };
        s.settle_as(&id(name), &reserve_for("hall", "u", seat, hold_for_ms)).await;
    }
    // A commit was sent after the time of r1 and r2; it waits, and nothing that was reserved when it was sent may end by
    // a later time than its own.
    let keys = s.keys.clone();
    let settled_ms = s.now_ms().await;
    later_than(s, settled_ms + 1).await;
    s.enqueue(&[fresh(commit("hall", "r1", None))]).await;
    let sent_ms = s.stats().await.queues[0].oldest_at_ms.unwrap();
    later_than(s, sent_ms).await;
    let seen = horizon(&mut s.link, &keys).await.unwrap();
    assert_eq!((seen.as_of_ms, seen.held_back_by), (sent_ms, Some(s.queue.clone())));
    let all = due(&mut s.link, &keys, u64::MAX >> 11, 10).await.unwrap();
    assert_eq!(all.iter().map(|due| due.id.as_str()).collect::<Vec<_>>(), ["r1", "r2", "r3"]);
    // Time alone decides nothing: the commit comes first, and wins.
    let entries = s.fetch("w", 10).await;
    let answer = s.settle_entries(&entries).await.answers[0];
    assert_eq!(answer.code(), Some(Code::Committed));
    let now_ms = s.now_ms().await;
    let codes = expire_due(s, &all, now_ms).await;
    assert_eq!(codes, [Code::ReservationNotOpen, Code::ReservationExpired, Code::HoldNotExpired]);
    assert_eq!(expire_due(s, &all[1..2], now_ms).await, [Code::ReservationExpired], "replayed");
    // What the caller says of the time is no more than what the server says.
    assert_eq!(expire_due(s, &all[2..], u64::MAX >> 11).await, [Code::HoldNotExpired]);
    assert_eq!(s.make(commit("hall", "r2", None)).await, Code::ReservationExpired);
    assert_eq!(s.make(release("hall", "r2", None)).await, Code::ReservationExpired);
    assert_eq!(s.make(purchase("hall", "v", "A-2")).await, Code::Purchased);
    let again = s.settle_as(&id("r2"), &reserve_for("hall", "u", "A-2", 1)).await;
    assert!(matches!(again, Answer::Replayed { code: Code::ReservationExpired, .. }), "{again:?}");
    assert_eq!(sums(s, "hall").await, [0, 1, 2, 1]);
    audit_passes(s).await;
}

#[tokio::test]
async fn a_planted_bug_turns_the_audit_red() {
    let sale = async || {
        let mut space = Space::new().await;
        let s = &mut space;
        open_sale(s, "hall", None, &[("A-1", 1), ("A-2", 1), ("floor", 9)]).await;
        s.make(purchase("hall", "u", "A-1, floor")).await;
        s.make(purchase("hall", "v", "A-1")).await;
        s.settle_as(&id("r"), &reserve("hall", "u", "A-2")).await;
        s.make(release("hall", "r", None)).await;
        tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap()
    };
    assert_eq!(sale().await.violations, []);
    for bug in [Sabotage::ReservedNotGivenBack, Sabotage::SeatSoldTwice, Sabotage::OrderLineSkipped] {
        let report = bug.plant(sale()).await;
        let of_sale = |violation: &tollgate_audit::Violation| violation.resource == "inventory:hall";
        assert!(report.violations.iter().any(of_sale), "{bug:?}: {:#?}", report.violations);
    }
}
