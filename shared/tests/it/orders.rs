//! An order lies under its inventory: it answers for its id also when its receipt was dropped.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::outcome::{Outcome, OutcomeClass};
use tollgate::scripts::reservation::Reservation;

use crate::inventory::*;
use crate::space::*;

async fn lookup(s: &mut Space, ids: &[JobId]) -> Vec<Outcome> {
    let tollgate = s.tollgate.clone();
    tollgate.lookup(ids).await.unwrap().into_iter().flatten().collect()
}

/// Drops every receipt of timed ids, as the floor does in time.
async fn drop_receipts(s: &mut Space, ids: &[JobId]) {
    for id in ids {
        let bucket = s.keys.receipts(id.bucket());
        s.run(&["DEL", &bucket]).await;
    }
    s.set_floor(-168).await;
}

#[tokio::test]
async fn an_order_answers_for_its_id_when_its_receipt_was_dropped() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.set_floor(-500).await;
    let seats = ["A-1", "A-2", "A-3", "A-4", "A-5", "A-6"];
    let items = seats.map(|seat| (seat, 2));
    open_sale(s, "hall", None, &items).await;
    open_sale(s, "off", None, &items).await;
    // More inventories than are looked through at once.
    for n in 0..250 {
        s.make(tollgate::kinds::InventoryCreate::new(inventory(&format!("i-{n}"))).into()).await;
    }
    let ids: Vec<JobId> = (0..8).map(|n| timed_id(-400, n)).collect();
    for (id, seat) in ids.iter().zip(seats) {
        let sale = if seat == "A-5" { "off" } else { "hall" };
        let hold_for_ms = if seat == "A-4" { 1 } else { 3_600_000 };
        let answer = s.settle_as(id, &reserve_for(sale, "u", seat, hold_for_ms)).await;
        assert_eq!(answer.code(), Some(Code::Reserved));
    }
    s.settle_as(&ids[6], &purchase("hall", "v", "A-1")).await;
    let name = |n: usize| ids[n].as_str();
    assert_eq!(s.make(commit("hall", name(1), None)).await, Code::Committed);
    assert_eq!(s.make(release("hall", name(2), None)).await, Code::Released);
    s.make(cancel_sale("off")).await;
    let end =
        |n: usize, sale| Reservation { inventory: inventory(sale), id: ids[n].clone(), hold_until_ms: 0 };
    let now_ms = s.now_ms().await + 10;
    later_than(s, now_ms).await;
    assert_eq!(expire_due(s, &[end(3, "hall")], now_ms).await, [Code::ReservationExpired]);
    assert_eq!(expire_due(s, &[end(4, "off")], now_ms).await, [Code::InventoryCancelled]);

    let expected = [
        (OutcomeClass::Applied, Some("reserved"), Some("open")),
        (OutcomeClass::Applied, Some("reserved"), Some("committed")),
        (OutcomeClass::Applied, Some("reserved"), Some("released")),
        (OutcomeClass::Refused, Some("reservation_expired"), None),
        (OutcomeClass::Refused, Some("inventory_cancelled"), None),
        (OutcomeClass::Applied, Some("reserved"), Some("open")),
        (OutcomeClass::Applied, Some("purchased"), None),
        (OutcomeClass::Expired, Some("id_expired"), None),
    ];
    let with_receipts = lookup(s, &ids[..7]).await;
    drop_receipts(s, &ids).await;
    let without = lookup(s, &ids).await;
    for (n, (class, code, reservation)) in expected.into_iter().enumerate() {
        let found = &without[n];
        assert_eq!((found.class, found.code), (class, code), "{n}");
        // What a receipt says by its code, an order says by its state as well.
        let state = found.reservation.filter(|_| code == Some("reserved"));
        assert_eq!(state, reservation, "{n}");
        if let Some(before) = with_receipts.get(n) {
            assert_eq!((before.class, before.code, before.seq), (class, code, found.seq), "{n}");
            assert_eq!(before.reservation, reservation, "{n}");
        }
    }
    // A row that is damaged answers nothing.
    let orders = s.keys.orders(&inventory("hall"));
    s.run(&["HSET", &orders, name(0), "scratched"]).await;
    assert_eq!(lookup(s, &ids[..1]).await[0].class, OutcomeClass::Expired);
}
