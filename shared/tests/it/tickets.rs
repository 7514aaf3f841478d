//! Tickets: where an inventory hands out codes, each unit that is sold has one, and no two ever have the same.

use std::collections::BTreeSet;

use tollgate::code::Code;
use tollgate::codes::Codes;
use tollgate::ids::JobId;
use tollgate::kinds::{InventoryCreate, Request};
use tollgate::quantity::Quantity;
use tollgate::sabotage::Sabotage;
use tollgate::scripts::reservation::due;

use crate::inventory::*;
use crate::races::race;
use crate::space::*;

/// Codes `code-1` to `code-<count>`.
fn codes(count: u64) -> Codes {
    let text: String = (1..=count).map(|n| format!("code-{n}\n")).collect();
    Codes::read(text.as_bytes()).unwrap()
}

fn terms(codes: &Codes) -> InventoryCreate {
    InventoryCreate {
        codes: Some(codes.name().clone()),
        codes_count: Quantity::new(codes.limit().get()),
        ..InventoryCreate::new(inventory("hall"))
    }
}

async fn open_with_codes(s: &mut Space, count: u64, items: &[(&str, u64)]) {
    let (codes, keys) = (codes(count), s.keys.clone());
    codes.upload(&mut s.link, &keys).await.unwrap();
    assert_eq!(s.make(terms(&codes).into()).await, Code::InventoryCreated);
    load(s, "hall", &stock(items)).await;
}

/// What the last line tells of tickets: handed out, and void.
async fn told(s: &mut Space) -> [String; 2] {
    let (seq, keys) = (s.dump().await.hash("head")["seq"].parse().unwrap(), s.keys.clone());
    let line = tollgate::journal::line_at(&mut s.link, &keys, seq).await.unwrap().unwrap().unwrap();
    ["tickets", "void"].map(|name| line.told(name).unwrap_or_default().to_owned())
}

async fn asked(s: &mut Space, wishes: &[(Request, Code, [&str; 2])]) {
    for (request, code, tickets) in wishes {
        assert_eq!(s.make(request.clone()).await, *code, "{request:?}");
        assert_eq!(told(s).await, *tickets, "{request:?}");
        audit_passes(s).await;
    }
}

async fn lines_of(s: &mut Space, order: &str) -> String {
    let row = s.dump().await.hash("orders:hall")[order].clone();
    row.rsplit_once('\t').unwrap().1.to_owned()
}

/// What somebody holds of an order: its codes, void ones in brackets.
async fn held(s: &Space, order: &str) -> Vec<String> {
    let tickets = s.tollgate.tickets(&inventory("hall"), &id(order)).await.unwrap();
    let shown = |ticket: tollgate::tickets::Ticket| {
        let code = ticket.code.unwrap();
        assert_eq!(code, format!("code-{}", ticket.number));
        if ticket.void.unwrap() { format!("({code})") } else { code }
    };
    tickets.into_iter().map(shown).collect()
}

#[tokio::test]
async fn each_unit_has_a_ticket_and_what_comes_back_is_void() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_with_codes(s, 9, &[("A-1", 1), ("A-2", 1), ("floor", 7)]).await;
    use Code::*;
    s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor 3")).await;
    assert_eq!(told(s).await, ["1-4", ""]);
    s.settle_as(&id("r"), &reserve("hall", "v", "floor 2")).await;
    assert_eq!(told(s).await, ["", ""], "what is reserved has none yet");
    asked(
        s,
        &[
            (commit("hall", "r", Some("floor")), Committed, ["5", ""]),
            (give_back("hall", "o", Some("floor 2")), Returned, ["", "3-4"]),
            (commit("hall", "r", None), Committed, ["6", ""]),
            (exchange("hall", "o", "A-1", "A-2"), Exchanged, ["7", "1"]),
            (give_back("hall", "r", None), Returned, ["", "5,6"]),
            (exchange("hall", "o", "A-2", "A-1"), Exchanged, ["8", "7"]),
        ],
    )
    .await;
    assert_eq!(lines_of(s, "o").await, "{1#8!1 A-1}{0,1,2#2!3-4 floor}{0#!7 A-2}");
    assert_eq!(held(s, "o").await, ["code-8", "(code-1)", "code-2", "(code-3)", "(code-4)", "(code-7)"]);
    assert_eq!(held(s, "r").await, ["(code-5)", "(code-6)"]);
    let hall = s.tollgate.inventory(&inventory("hall")).await.unwrap().unwrap();
    assert_eq!(
        (hall.codes_count.map(Quantity::get), hall.tickets, hall.void(), hall.sold),
        (Some(9), 8, 6, 2)
    );
    // Seven units are on sale, and one code is left.
    asked(
        s,
        &[
            (purchase("hall", "w", "A-2, floor"), SoldOut, ["", ""]),
            (reserve("hall", "w", "floor 2"), SoldOut, ["", ""]),
            (restock("hall", "floor", 1), LimitAboveCodes, ["", ""]),
            (set_quantity("hall", "floor", 9, None), LimitAboveCodes, ["", ""]),
            (set_quantity("hall", "floor", 1, None), QuantitySet, ["", ""]),
            (purchase("hall", "w", "floor"), Purchased, ["9", ""]),
            (purchase("hall", "w", "A-2"), SoldOut, ["", ""]),
            (exchange("hall", "o", "A-1", "A-2"), SoldOut, ["", ""]),
            (give_back("hall", "o", None), Returned, ["", "8,2"]),
            (cancel_sale("hall"), SaleCancelled, ["", ""]),
            (archive_sale("hall"), Archived, ["", ""]),
        ],
    )
    .await;
    assert!(held(s, "o").await.is_empty());
}

/// A paid cart gets its tickets: what is reserved keeps so many codes back, until it ends.
#[tokio::test]
async fn a_cart_keeps_its_codes_until_it_ends() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_with_codes(s, 3, &[("A-1", 1), ("A-2", 1), ("A-3", 1)]).await;
    use Code::*;
    s.settle_as(&id("o"), &purchase("hall", "u", "A-1")).await;
    s.settle_as(&id("r1"), &reserve("hall", "v", "A-2")).await;
    s.settle_as(&id("r2"), &reserve_for("hall", "w", "A-3", 1)).await;
    asked(
        s,
        &[
            (give_back("hall", "o", None), Returned, ["", "1"]),
            (purchase("hall", "u", "A-1"), SoldOut, ["", ""]),
            // Reserved for reserved, which needs no code yet.
            (exchange("hall", "r1", "A-2", "A-1"), Exchanged, ["", ""]),
            (commit("hall", "r1", None), Committed, ["2", ""]),
            (exchange("hall", "r1", "A-1", "A-2"), SoldOut, ["", ""]),
        ],
    )
    .await;
    let (keys, decided_ms) = (s.keys.clone(), s.now_ms().await);
    later_than(s, decided_ms + 1).await;
    let over = due(&mut s.link, &keys, u64::MAX >> 11, 10).await.unwrap();
    assert_eq!(expire_due(s, &over, u64::MAX >> 11).await, [ReservationExpired]);
    asked(s, &[(exchange("hall", "r1", "A-1", "A-2"), Exchanged, ["3", "2"])]).await;
    assert_eq!(lines_of(s, "r1").await, "{0#!2 A-1}{1#3 A-2}");
}

#[tokio::test]
async fn a_batch_and_a_race_hand_out_each_ticket_once() {
    let mut space = Space::new().await;
    let s = &mut space;
    open_with_codes(s, 200, &[("A-1", 1), ("floor", 150)]).await;
    let wishes = [
        ("b1", purchase("hall", "u", "floor 2")),
        ("b2", reserve("hall", "u", "floor, A-1")),
        ("b3", give_back("hall", "b1", Some("floor"))),
        ("b4", commit("hall", "b2", None)),
        ("b5", purchase("hall", "v", "floor")),
    ];
    let ids: Vec<JobId> = wishes.iter().map(|(name, _)| id(name)).collect();
    let batch: Vec<_> = ids.iter().zip(&wishes).map(|(id, (_, request))| (None, id, request)).collect();
    s.settle(&batch).await.unwrap();
    audit_passes(s).await;
    let mut codes: Vec<String> = Vec::new();
    for order in ["b1", "b2", "b5"] {
        codes.extend(held(s, order).await);
    }
    assert_eq!(codes, ["code-1", "(code-2)", "code-3", "code-4", "code-5"]);
    let ids = std::sync::Mutex::new(Vec::new());
    let fresh_id = |_| {
        let id = JobId::fresh();
        ids.lock().unwrap().push(id.clone());
        id
    };
    race(s, fresh_id, |_| purchase("hall", "w", "floor")).await;
    let (mut numbers, ids) = (BTreeSet::new(), ids.into_inner().unwrap());
    for id in &ids {
        for ticket in s.tollgate.tickets(&inventory("hall"), id).await.unwrap() {
            assert!(numbers.insert(ticket.number), "{ticket:?}");
        }
    }
    assert_eq!(numbers, (6..6 + ids.len() as u64).collect());
    audit_passes(s).await;
}

/// Codes that are not all there are no codes; and a list of more units than codes is not loaded, while another may be.
#[tokio::test]
async fn codes_are_whole_and_enough_before_anything_is_sold() {
    let mut space = Space::new().await;
    let s = &mut space;
    let (list, keys) = (codes(3), s.keys.clone());
    assert_eq!(s.make(terms(&list).into()).await, Code::CodesIncomplete);
    list.upload(&mut s.link, &keys).await.unwrap();
    let more = InventoryCreate { codes_count: Quantity::new(4), ..terms(&list) };
    assert_eq!(s.make(more.into()).await, Code::CodesIncomplete);
    assert_eq!(s.make(terms(&list).into()).await, Code::InventoryCreated);
    let many = stock(&[("A-1", 4)]);
    many.upload(&mut s.link, &keys, &inventory("hall"), |_| ()).await.unwrap();
    assert_eq!(s.make(many.request(inventory("hall")).into()).await, Code::TooFewCodes);
    load(s, "hall", &stock(&[("A-1", 3)])).await;
    s.make(purchase("hall", "u", "A-1")).await;
    audit_passes(s).await;
    // A code that is gone is told.
    let key = keys.codes(list.name());
    s.run(&["HDEL", &key, "2"]).await;
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    assert!(report.violations.iter().any(|found| found.resource.starts_with("codes:")), "{report:?}");
}

#[tokio::test]
async fn a_planted_bug_turns_the_audit_red() {
    let sale = async || {
        let mut space = Space::new().await;
        let s = &mut space;
        open_with_codes(s, 9, &[("A-1", 1), ("floor", 5)]).await;
        s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor")).await;
        s.make(give_back("hall", "o", Some("floor"))).await;
        s.make(purchase("hall", "v", "floor")).await;
        tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap()
    };
    assert_eq!(sale().await.violations, []);
    for bug in [Sabotage::TicketHandedOutTwice, Sabotage::TicketNotVoid] {
        let report = bug.plant(sale()).await;
        let of_sale = |violation: &tollgate_audit::Violation| violation.resource == "inventory:hall";
        assert!(report.violations.iter().any(of_sale), "{bug:?}: {:#?}", report.violations);
    }
}
