//! The ladders of the kinds of an inventory: see [`precedence`](super::precedence).

use tollgate::code::Code;
use tollgate::kinds::{InventoryCreate, Kind, Request};
use tollgate::quantity::Quantity;

use super::precedence::{Ladder, ladder};
use crate::inventory::{
    archive_sale, cancel_sale, close_sale, commit, exchange, extend, give_back, inventory, purchase, release,
    reserve, restock, set_quantity, stock,
};

fn create(id: &str, per_customer: Option<u64>) -> Request {
    let per_customer = per_customer.and_then(Quantity::new);
    InventoryCreate { per_customer, ..InventoryCreate::new(inventory(id)) }.into()
}

/// `None` for a kind that is not of an inventory.
pub(super) fn ladders(kind: Kind) -> Option<Vec<Ladder>> {
    use Code::*;
    let pens = stock(&[("pen", 2)]);
    let load: Request = pens.request(inventory("s")).into();
    // The texts of a bucket without items, and of one with a pen or two.
    const LOADED: &str = "HSET inventory:s buckets 1 status open available 1";
    Some(match kind {
        Kind::Purchase => vec![
            ladder([], purchase("s", "u", "pen"), &[("", InventoryNotFound)]),
            ladder([create("s", None)], purchase("s", "u", "pen"), &[("", NotStarted)]),
            ladder(
                [create("s", Some(1))],
                purchase("s", "u", "pen 2"),
                &[
                    ("HSET inventory:s buckets 1 status closed opens_at_ms FUTURE available 9", CorruptState),
                    ("HSET stock:s 0 \n", ItemNotFound),
                    ("HSET inventory:s status archived", ItemNotFound),
                    ("HSET stock:s 0 \npen\t1\t0\n", InventoryArchived),
                    ("HSET inventory:s status cancelled", InventoryCancelled),
                    ("HSET inventory:s status closed", Ended),
                    ("HSET inventory:s status open closes_at_ms PAST", Ended),
                    ("HSET inventory:s closes_at_ms ''", NotStarted),
                    ("HSET inventory:s opens_at_ms PAST", SoldOut),
                    ("HSET stock:s 0 \npen\t2\t0\n", CustomerLimitReached),
                    ("HSET inventory:s per_customer 2", Purchased),
                ],
            ),
            ladder(
                [create("s", None)],
                purchase("s", "u", "pen 2"),
                &[
                    ("HSET inventory:s buckets 1 status open available 9 item_counts x", CorruptState),
                    ("HSET stock:s 0 \npen\t2\t0\tx\n", CorruptState),
                    ("HSET inventory:s item_counts 0", CorruptState),
                    ("HSET stock:s 0 \npen\t1\t0\t1\n", SoldOut),
                    ("HSET stock:s 0 \npen\t2\t0\t1\n", CustomerLimitReached),
                    ("HSET stock:s 0 \npen\t2\t0\t2\n", Purchased),
                ],
            ),
        ],
        Kind::Reserve => vec![
            ladder([], reserve("s", "u", "pen"), &[("", InventoryNotFound)]),
            ladder(
                [create("s", Some(1))],
                reserve("s", "u", "pen 2"),
                &[
                    ("HSET inventory:s buckets 1 status closed opens_at_ms FUTURE available 9", CorruptState),
                    ("HSET inventory:s status cancelled", CorruptState),
                    ("HSET stock:s 0 \npen\t1\t0\n", InventoryCancelled),
                    ("HSET inventory:s status closed", Ended),
                    ("HSET inventory:s status open", NotStarted),
                    ("HSET inventory:s opens_at_ms PAST", SoldOut),
                    ("HSET stock:s 0 \npen\t2\t0\t1\n", CustomerLimitReached),
                    ("HSET inventory:s item_counts 0 per_customer 2", CustomerLimitReached),
                    ("HSET stock:s 0 \npen\t2\t0\t2\n", Reserved),
                ],
            ),
        ],
        Kind::Commit | Kind::Release | Kind::Extend => {
            let (request, effect) = match kind {
                Kind::Commit => (commit("s", "r", None), Committed),
                Kind::Release => (release("s", "r", None), Released),
                _ => (extend("s", "r", 1_000), Extended),
            };
            const OPEN: &str =
                "HSET inventory:s buckets 1 status open copied 1 buyers 1 orders 1 open 1 reserved 2 sold 7";
            let mut ladders = vec![
                ladder([], request.clone(), &[("", InventoryNotFound)]),
                ladder([create("s", None)], request.clone(), &[("", OrderNotFound)]),
                ladder(
                    [create("s", None)],
                    request,
                    &[
                        (OPEN, CorruptState),
                        ("HSET buyers:s u 2", CorruptState),
                        ("HSET items:s 0 \npen\t2\t2\n", CorruptState),
                        ("HSET orders:s r expired\t1\t5\tab\tu\t{0,1,1~pen}", ReservationExpired),
                        ("HSET orders:s r sold\t1\t5\tab\tu\t{0,2,0~pen}", AlreadyCommitted),
                        ("HSET orders:s r released\t1\t5\tab\tu\t{0,0,2~pen}", AlreadyReleased),
                        ("HSET orders:s r reserved\t1\t5\tab\tu\t{2,0,0~pen}", effect),
                    ],
                ),
            ];
            // Of what is cancelled nothing can be bought any more; what is held may be given up.
            let cancelled = "HSET inventory:s status cancelled";
            let rows = match kind {
                Kind::Release => [("HSET items:s 0 \npen\t2\t2\n", effect); 2],
                _ => [
                    ("HSET items:s 0 \npen\t2\t2\n", InventoryCancelled),
                    ("HSET inventory:s status open", effect),
                ],
            };
            let row = "HSET orders:s r reserved\t1\t5\tab\tu\t{2,0,0~pen}";
            let of_row = match kind {
                Kind::Commit => commit("s", "r", None),
                Kind::Release => release("s", "r", None),
                _ => extend("s", "r", 1_000),
            };
            let rungs = [
                &[
                    (OPEN, CorruptState),
                    (cancelled, CorruptState),
                    (row, CorruptState),
                    ("HSET buyers:s u 2", CorruptState),
                ][..],
                if kind == Kind::Release { &rows[..1] } else { &rows },
            ]
            .concat();
            ladders.push(ladder([create("s", None)], of_row, &rungs));
            if kind == Kind::Commit {
                let rows = [
                    ("HSET buyers:s u 2", CorruptState),
                    ("HSET items:s 0 \npen\t2\t2\n", CorruptState),
                    ("HSET orders:s r reserved\t1\t5\tab\tu\t{2,0,0~pen}", NotReserved),
                ];
                let rungs = [&[(OPEN, CorruptState)][..], &rows].concat();
                ladders.push(ladder([create("s", None)], commit("s", "r", Some("pen 3")), &rungs));
                ladders.push(ladder([create("s", None)], commit("s", "r", Some("ink")), &rungs));
            }
            ladders
        }
        Kind::Return | Kind::Exchange => {
            const SOLD: &str = "HSET inventory:s buckets 1 status closed copied 1 buyers 1 orders 1 open 0 reserved 7 sold 2 available 1";
            let is_return = kind == Kind::Return;
            let request =
                if is_return { give_back("s", "r", None) } else { exchange("s", "r", "pen", "ink") };
            let none = ladder([], request.clone(), &[("", InventoryNotFound)]);
            let unsold = ladder([create("s", None)], request.clone(), &[("", OrderNotFound)]);
            if is_return {
                let rungs = [
                    (SOLD, CorruptState),
                    ("HSET buyers:s u 2", CorruptState),
                    ("HSET items:s 0 \npen\t0\t0\n", CorruptState),
                    ("HSET orders:s r expired\t1\t5\tab\tu\t{2~pen}", ReservationExpired),
                    ("HSET orders:s r released\t1\t5\tab\tu\t{2~pen}", AlreadyReleased),
                    ("HSET orders:s r returned\t1\t\t\tu\t{2~pen}", AlreadyReturned),
                    ("HSET orders:s r reserved\t1\t5\tab\tu\t{2~pen}", NotSold),
                    ("HSET orders:s r sold\t1\t\t\tu\t{2~pen}", Returned),
                ];
                return Some(vec![none, unsold, ladder([create("s", None)], request, &rungs)]);
            }
            let rungs = [
                (SOLD, CorruptState),
                ("HSET buyers:s u 2", CorruptState),
                ("HSET orders:s r returned\t1\t\t\tu\t{2~pen}", CorruptState),
                ("HSET items:s 0 \npen\t0\t0\n", ItemNotFound),
                ("HSET items:s 0 \npen\t0\t0\nink\t1\t1\n", Ended),
                ("HSET inventory:s status open opens_at_ms FUTURE", NotStarted),
                ("HSET inventory:s opens_at_ms ''", SoldOut),
                ("HSET orders:s r expired\t1\t5\tab\tu\t{2~pen}", SoldOut),
                ("HSET items:s 0 \npen\t0\t0\nink\t1\t0\n", ReservationExpired),
                ("HSET orders:s r released\t1\t5\tab\tu\t{2~pen}", AlreadyReleased),
                ("HSET orders:s r returned\t1\t\t\tu\t{2~pen}", AlreadyReturned),
                ("HSET orders:s r sold\t1\t\t\tu\t{2~cap}", NotInOrder),
                ("HSET orders:s r sold\t1\t\t\tu\t{2~pen}", Exchanged),
            ];
            let by_item = [
                (SOLD, CorruptState),
                ("HSET buyers:s u 2 u\tink 1", CorruptState),
                ("HSET orders:s r sold\t1\t\t\tu\t{2~cap}", CorruptState),
                ("HSET items:s 0 \npen\t0\t0\nink\t1\t1\t1\n", CorruptState),
                ("HSET inventory:s status open item_counts 1", SoldOut),
                ("HSET items:s 0 \npen\t0\t0\nink\t1\t0\t1\n", NotInOrder),
                ("HSET orders:s r sold\t1\t\t\tu\t{2~pen}", CustomerLimitReached),
                ("HSET items:s 0 \npen\t0\t0\nink\t1\t0\t2\n", Exchanged),
            ];
            let by_item = ladder([create("s", None)], request.clone(), &by_item);
            vec![none, unsold, ladder([create("s", None)], request, &rungs), by_item]
        }
        Kind::InventoryCreate => vec![
            ladder([], create("s", None), &[("", InventoryCreated)]),
            ladder(
                [create("s", None)],
                create("s", None),
                &[("HSET inventory:s sold -1", CorruptState), ("HSET inventory:s sold 0", InventoryExists)],
            ),
        ],
        Kind::InventoryLoad => vec![
            ladder([], load.clone(), &[("", InventoryNotFound)]),
            ladder(
                [create("s", None), cancel_sale("s")],
                load.clone(),
                &[("", InventoryCancelled), ("HSET inventory:s status closed", Ended)],
            ),
            ladder([create("s", None)], load.clone(), &[(LOADED, AlreadyLoaded)]),
            ladder(
                [create("s", None)],
                load,
                &[
                    ("HSET inventory:s buckets x", CorruptState),
                    ("HSET inventory:s buckets 0", StockIncomplete),
                    (
                        "HSET stock:s 0 \npen\t2\t0\n items 1 units 2 buckets 1 taken 1 limited 0 name other",
                        StockIncomplete,
                    ),
                    ("HSET stock:s name PENS buckets 2", StockIncomplete),
                    ("HSET stock:s buckets 1 taken 0", StockIncomplete),
                    ("HSET inventory:s codes_count 1 tickets 0", StockIncomplete),
                    ("HSET stock:s taken 1", TooFewCodes),
                    ("HSET inventory:s codes_count 2", InventoryLoaded),
                ],
            ),
        ],
        Kind::InventoryRestock => vec![
            ladder([], restock("s", "pen", 1), &[("", InventoryNotFound)]),
            ladder([create("s", None)], restock("s", "pen", 1), &[("", NotLoaded)]),
            ladder(
                [create("s", None)],
                restock("s", "pen", 7),
                &[
                    ("HSET inventory:s buckets 1 status closed available 9007199254740985", CorruptState),
                    ("HSET stock:s 0 \nink\t1\t0\n", ItemNotFound),
                    ("HSET stock:s 0 \npen\t1\t0\n", Ended),
                    ("HSET inventory:s status open codes_count 9 tickets 2", QuantityLimitReached),
                    ("HSET inventory:s available 1", LimitAboveCodes),
                    ("HSET inventory:s tickets 1", Restocked),
                ],
            ),
        ],
        Kind::InventorySetQuantity => vec![
            ladder([], set_quantity("s", "pen", 1, None), &[("", InventoryNotFound)]),
            ladder([create("s", None)], set_quantity("s", "pen", 1, None), &[("", NotLoaded)]),
            ladder(
                [create("s", None)],
                set_quantity("s", "pen", 3, Some(4)),
                &[
                    ("HSET inventory:s buckets 1 status closed available 9007199254740991", CorruptState),
                    ("HSET stock:s 0 \n", ItemNotFound),
                    ("HSET stock:s 0 \npen\t9\t4\n", Ended),
                    ("HSET inventory:s status open codes_count 9 tickets 9", QuantityNotAsExpected),
                    ("HSET stock:s 0 \npen\t4\t4\n", QuantityBelowReserved),
                    ("HSET stock:s 0 \npen\t4\t3\n", QuantitySet),
                ],
            ),
            ladder(
                [create("s", None)],
                set_quantity("s", "pen", 3, None),
                &[
                    ("HSET inventory:s buckets 1 status open available 9007199254740991", CorruptState),
                    ("HSET stock:s 0 \npen\t2\t0\n", QuantityLimitReached),
                ],
            ),
        ],
        Kind::InventoryClose => vec![
            ladder([], close_sale("s"), &[("", InventoryNotFound)]),
            ladder(
                [create("s", None)],
                close_sale("s"),
                &[("HSET inventory:s items x", CorruptState), ("HSET inventory:s items 0", Closed)],
            ),
            ladder([create("s", None), close_sale("s")], close_sale("s"), &[("", Ended)]),
            ladder([create("s", None), cancel_sale("s")], close_sale("s"), &[("", InventoryCancelled)]),
        ],
        Kind::InventoryCancel => vec![
            ladder([], cancel_sale("s"), &[("", InventoryNotFound)]),
            ladder(
                [create("s", None)],
                cancel_sale("s"),
                &[
                    ("HSET inventory:s status archived open 1 orders 1", CorruptState),
                    ("HSET orders:s r reserved\t1\t5\tab\tu\t{2,0,0~pen}", InventoryArchived),
                    ("HSET inventory:s status cancelled", InventoryCancelled),
                    ("HSET inventory:s status closed", SaleCancelled),
                ],
            ),
        ],
        Kind::InventoryArchive => vec![
            ladder([], archive_sale("s"), &[("", InventoryNotFound)]),
            ladder(
                [create("s", None)],
                archive_sale("s"),
                &[
                    ("HSET inventory:s status archived open 1 orders 1", CorruptState),
                    ("HSET orders:s r reserved\t1\t5\tab\tu\t{2,0,0~pen}", InventoryArchived),
                    ("HSET inventory:s status loading", InventoryOpen),
                    ("HSET inventory:s status closed", ReservationsOpen),
                    ("HSET inventory:s open 0", Archived),
                ],
            ),
        ],
        _ => return None,
    })
}

/// The name of the list that the ladders load.
pub(super) fn name_of_pens() -> String {
    stock(&[("pen", 2)]).name().as_str().to_owned()
}
