//! What orders give back: returned once, and exchanged in one step.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::sabotage::Sabotage;
use tollgate::scripts::reservation::due;
use tollgate::scripts::settle::Answer;

use crate::inventory::*;
use crate::races::race;
use crate::space::*;

/// Asks one after the other, and audits after each.
async fn asked(s: &mut Space, wishes: Vec<(tollgate::kinds::Request, Code)>) {
    for (request, code) in wishes {
        assert_eq!(s.make(request.clone()).await, code, "{request:?}");
        audit_passes(s).await;
    }
}

async fn row(s: &mut Space, order: &str) -> String {
    s.dump().await.hash("orders:hall")[order].clone()
}

#[tokio::test]
async fn what_comes_back_is_on_sale_again_once() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "hall", Some(5), &[("A-1", 1), ("A-2", 1), ("floor", 4)]).await;
    s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor 3")).await;
    asked(
        s,
        vec![
            (give_back("hall", "none", None), Code::OrderNotFound),
            (purchase("hall", "v", "A-1"), Code::SoldOut),
            (purchase("hall", "u", "A-2, floor"), Code::CustomerLimitReached),
            (give_back("hall", "o", Some("A-2")), Code::NotSold),
            (give_back("hall", "o", Some("A-1, floor 4")), Code::NotSold),
            (give_back("hall", "o", Some("A-1, floor")), Code::Returned),
            (give_back("hall", "o", Some("A-1")), Code::AlreadyReturned),
            (purchase("hall", "u", "A-2, floor"), Code::Purchased),
            (purchase("hall", "v", "A-1"), Code::Purchased),
            (close_sale("hall"), Code::Closed),
            (give_back("hall", "o", Some("floor")), Code::Returned),
            (cancel_sale("hall"), Code::SaleCancelled),
            (give_back("hall", "o", None), Code::Returned),
            (give_back("hall", "o", None), Code::AlreadyReturned),
            (commit("hall", "o", None), Code::InventoryCancelled),
        ],
    )
    .await;
    assert_eq!(sums(s, "hall").await, [3, 0, 3, 0]);
    let row = row(s, "o").await;
    assert!(row.starts_with("returned\t") && row.ends_with("\tu\t{1 A-1}{3 floor}"), "{row:?}");
    assert_eq!(s.dump().await.hash("buyers:hall")["u"], "2");
}

/// Of a reservation, what is committed comes back, also while the rest is still reserved, or has expired.
#[tokio::test]
async fn a_reservation_returns_what_it_committed() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "hall", None, &[("A-1", 1), ("A-2", 1), ("A-3", 1)]).await;
    s.settle_as(&id("r1"), &reserve("hall", "u", "A-1, A-2")).await;
    s.settle_as(&id("r2"), &reserve_for("hall", "v", "A-3", 1)).await;
    asked(
        s,
        vec![
            (give_back("hall", "r1", None), Code::NotSold),
            (commit("hall", "r1", Some("A-1")), Code::Committed),
            (give_back("hall", "r1", None), Code::Returned),
            (extend("hall", "r1", 1), Code::Extended),
            (give_back("hall", "r1", Some("A-1")), Code::AlreadyReturned),
            (commit("hall", "r1", None), Code::Committed),
            (give_back("hall", "r1", None), Code::Returned),
            (release("hall", "r1", None), Code::AlreadyReleased),
        ],
    )
    .await;
    let keys = s.keys.clone();
    let settled_ms = s.now_ms().await;
    later_than(s, settled_ms + 1).await;
    let over = due(&mut s.link, &keys, u64::MAX >> 11, 10).await.unwrap();
    assert_eq!(expire_due(s, &over, u64::MAX >> 11).await, [Code::ReservationExpired]);
    asked(s, vec![(give_back("hall", "r2", None), Code::ReservationExpired)]).await;
    // A reserve that is asked again is still the one that was given back.
    let again = s.settle_as(&id("r1"), &reserve("hall", "u", "A-1, A-2")).await;
    assert!(matches!(again, Answer::Replayed { code: Code::Reserved, .. }), "{again:?}");
    assert_eq!(sums(s, "hall").await, [3, 0, 0, 0]);
}

#[tokio::test]
async fn however_many_race_an_order_returns_what_it_bought() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(s, "hall", None, &[("floor", 5)]).await;
    s.settle_as(&id("o"), &purchase("hall", "u", "floor 3")).await;
    let answers = race(s, |_| JobId::fresh(), |_| give_back("hall", "o", Some("floor"))).await;
    let returned = answers.iter().filter(|answer| answer.code() == Some(Code::Returned)).count();
    assert_eq!(returned, 3, "{answers:?}");
    // And of one batch.
    s.settle_as(&id("p"), &purchase("hall", "u", "floor 5")).await;
    let jobs: Vec<_> = (0..4).map(|_| (JobId::fresh(), give_back("hall", "p", Some("floor 2")))).collect();
    let batch: Vec<_> = jobs.iter().map(|(id, request)| (None, id, request)).collect();
    let answers = s.settle(&batch).await.unwrap().answers;
    let codes: Vec<_> = answers.iter().map(|answer| answer.code().unwrap()).collect();
    assert_eq!(codes, [Code::Returned, Code::Returned, Code::AlreadyReturned, Code::AlreadyReturned]);
    assert_eq!(sums(s, "hall").await, [4, 0, 1, 0]);
    audit_passes(s).await;
}

#[tokio::test]
async fn a_seat_is_exchanged_in_one_step_or_kept() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_sale(
        s,
        "hall",
        Some(3),
        &[("A-1", 1), ("A-2", 1), ("A-3", 1), ("A-4", 1), ("A-5", 1), ("floor", 2)],
    )
    .await;
    s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor 2")).await;
    s.settle_as(&id("r"), &reserve("hall", "v", "A-2, A-3")).await;
    asked(
        s,
        vec![
            (exchange("hall", "o", "A-1", "A-1"), Code::SameItem),
            (exchange("hall", "o", "A-1", "B-9"), Code::ItemNotFound),
            (exchange("hall", "none", "A-1", "A-4"), Code::OrderNotFound),
            (exchange("hall", "o", "A-1", "A-2"), Code::SoldOut),
            (exchange("hall", "o", "A-3", "A-4"), Code::NotInOrder),
            (exchange("hall", "o", "A-1", "A-4"), Code::Exchanged),
            (exchange("hall", "o", "A-1", "A-5"), Code::NotInOrder),
            (exchange("hall", "o", "floor", "A-1"), Code::Exchanged),
            (exchange("hall", "r", "A-2", "A-5"), Code::Exchanged),
            (commit("hall", "r", Some("A-5")), Code::Committed),
            (exchange("hall", "r", "A-5", "A-2"), Code::Exchanged),
            (give_back("hall", "o", Some("A-1")), Code::Returned),
            (exchange("hall", "o", "A-1", "A-5"), Code::AlreadyReturned),
            (release("hall", "r", None), Code::Released),
            (exchange("hall", "r", "A-3", "A-5"), Code::AlreadyReturned),
            (exchange("hall", "r", "A-2", "floor"), Code::Exchanged),
            (close_sale("hall"), Code::Closed),
            (exchange("hall", "o", "floor", "A-1"), Code::Ended),
            (cancel_sale("hall"), Code::SaleCancelled),
            (exchange("hall", "o", "floor", "A-1"), Code::InventoryCancelled),
        ],
    )
    .await;
    let (order, reservation) = (row(s, "o").await, row(s, "r").await);
    assert!(order.ends_with("\tu\t{1 floor}{1 A-4}{0,0,1 A-1}"), "{order:?}");
    assert!(reservation.ends_with("\tv\t{0,0,1 A-3}{1 floor}"), "{reservation:?}");
    assert_eq!(sums(s, "hall").await, [4, 0, 3, 0]);
}

/// An order has 64 lines at most, however often it is exchanged.
#[tokio::test]
async fn an_exchange_makes_no_order_longer_than_an_order_may_be() {
    let mut space = Space::new().await;
    let s = &mut space;
    let names: Vec<String> = (0..64).map(|n| format!("s{n}")).collect();
    let mut items: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    items.push(("floor", 2));
    open_sale(s, "hall", None, &items).await;
    let seats = names[1..].join(", ");
    s.settle_as(&id("o"), &purchase("hall", "u", &format!("{seats}, floor 2"))).await;
    asked(
        s,
        vec![
            (exchange("hall", "o", "floor", "s0"), Code::TooManyLines),
            (exchange("hall", "o", "s1", "s0"), Code::Exchanged),
            (exchange("hall", "o", "s0", "s1"), Code::Exchanged),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_planted_bug_turns_the_audit_red() {
    let sale = async || {
        let mut space = Space::new().await;
        let s = &mut space;
        open_sale(s, "hall", None, &[("A-1", 1), ("A-2", 1), ("floor", 9)]).await;
        s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor")).await;
        s.make(exchange("hall", "o", "A-1", "A-2")).await;
        s.make(give_back("hall", "o", Some("floor"))).await;
        tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap()
    };
    assert_eq!(sale().await.violations, []);
    for bug in [Sabotage::ReturnForgotten, Sabotage::ExchangeKeepsBoth] {
        let report = bug.plant(sale()).await;
        let of_sale = |violation: &tollgate_audit::Violation| violation.resource == "inventory:hall";
        assert!(report.violations.iter().any(of_sale), "{bug:?}: {:#?}", report.violations);
    }
}
