//! Of several causes the first in the order of the codes is told: for each kind, one row a cause. All causes hold at
//! first; each row's repair takes one away, and the next code shows.

use std::collections::BTreeSet;

use tollgate::code::{Class, Code, Stored};
use tollgate::codes_name::CodesName;
use tollgate::kinds::{CampaignCreate, Kind, Request};

use super::{decides, precedence_of_sales};
use crate::cases::{amend, case_open, decide};
use crate::space::*;

/// A request, asked again and again in a namespace of its own.
pub(super) struct Ladder {
    /// What is made before.
    given: Vec<Request>,
    request: Request,
    rungs: Vec<Rung>,
}

/// A command that repairs (or first damages) a key, named without its tag, and the code that is told then. `''` is an
/// empty word; PAST and FUTURE are times, CODES is the name of a list of codes, PENS of a list of items;
/// `~` is a space within a word.
pub(super) type Rung = (&'static str, Code);

pub(super) fn ladder<const N: usize>(given: [Request; N], request: Request, rungs: &[Rung]) -> Ladder {
    Ladder { given: given.into(), request, rungs: rungs.to_vec() }
}

/// The name of a list of codes.
fn codes_name() -> String {
    "a".repeat(64)
}

fn with_codes(campaign: &str) -> Request {
    CampaignCreate { codes: Some(CodesName::parse(&codes_name()).unwrap()), ..terms(campaign, 2) }.into()
}

/// What a withdrawal and a payout meet of their account.
fn spending(effect: Code) -> [Rung; 5] {
    [
        ("HSET account:a currency EUR status gone", Code::CorruptState),
        ("HSET account:a status closed", Code::AccountClosed),
        ("HSET account:a status open", Code::CurrencyMismatch),
        ("HSET account:a currency USD", Code::InsufficientFunds),
        ("HSET account:a available 5", effect),
    ]
}

/// The ladders of a kind; none of what happens to a payout afterwards (`payout.rs`).
fn ladders(kind: Kind) -> Vec<Ladder> {
    use Code::*;
    match kind {
        Kind::Redeem => vec![
            ladder([], redeem("c", "u", 1), &[("", CampaignNotFound)]),
            ladder(
                [create_for_each("c", 3, Some(1)), redeem("c", "u", 1)],
                redeem("c", "u", 1),
                &[
                    ("HSET campaign:c limit 0 status closed opens_at_ms FUTURE", CorruptState),
                    ("HSET campaign:c limit 1", Ended),
                    ("HSET campaign:c status open closes_at_ms PAST", Ended),
                    ("HSET campaign:c closes_at_ms ''", NotStarted),
                    ("HSET campaign:c opens_at_ms PAST", CampaignLimitReached),
                    ("HSET campaign:c limit 9", CustomerLimitReached),
                    ("HSET campaign:c per_customer 2", Redeemed),
                ],
            ),
            ladder(
                [create("c", 3)],
                redeem("c", "u", 2),
                &[("HSET campaign:c codes CODES codes_count 3", QuantityOutOfRange)],
            ),
        ],
        Kind::Withdraw => vec![
            ladder([], withdraw("a", 5), &[("", AccountNotFound)]),
            ladder([open("a", 4)], withdraw("a", 5), &spending(Withdrawn)),
        ],
        Kind::Payout => vec![
            ladder([], payout("a", 5), &[("", AccountNotFound)]),
            ladder([open("a", 4)], payout("a", 5), &spending(Held)),
        ],
        Kind::Transfer => vec![
            ladder([open("a", 4)], transfer("a", "b", 5), &[("", AccountNotFound)]),
            ladder([open("a", 4), open("b", 0)], transfer("a", "b", 5), &spending(Transferred)),
            ladder(
                [open("a", 5), open("b", 0)],
                transfer("a", "b", 5),
                &[
                    ("HSET account:b currency EUR status gone", CorruptState),
                    ("HSET account:b status closed", AccountClosed),
                    ("HSET account:b status open available 9007199254740987", CurrencyMismatch),
                    ("HSET account:b currency USD", BalanceLimitReached),
                    ("HSET account:b available 9007199254740986", Transferred),
                ],
            ),
        ],
        Kind::Deposit => vec![
            ladder([], deposit("a", 5), &[("", AccountNotFound)]),
            ladder(
                [open("a", 0)],
                deposit("a", 5),
                &[
                    (
                        "HSET account:a currency EUR status closed available 9007199254740987 held x",
                        CorruptState,
                    ),
                    ("HSET account:a held 0", AccountClosed),
                    ("HSET account:a status open", CurrencyMismatch),
                    ("HSET account:a currency USD", BalanceLimitReached),
                    ("HSET account:a available 9007199254740986", Deposited),
                ],
            ),
        ],
        Kind::AccountOpen => vec![
            ladder([], open("a", 4), &[("", AccountOpened)]),
            ladder(
                [open("a", 4)],
                open("a", 4),
                &[("HSET account:a held ''", CorruptState), ("HSET account:a held 0", AccountExists)],
            ),
        ],
        Kind::AccountClose => vec![
            ladder([], close("a"), &[("", AccountNotFound)]),
            ladder(
                [open("a", 4)],
                close("a"),
                &[
                    ("HSET account:a status closed seq ''", CorruptState),
                    ("HSET account:a seq 1", AccountClosed),
                    ("HSET account:a status open", AccountNotEmpty),
                    ("HSET account:a available 0 held 1", AccountNotEmpty),
                    ("HSET account:a held 0", Closed),
                ],
            ),
        ],
        Kind::CampaignCreate => vec![
            // With codes that are not there: an existing campaign is the first cause all the same.
            ladder(
                [create("c", 2)],
                with_codes("c"),
                &[("HSET campaign:c seq -1", CorruptState), ("HSET campaign:c seq 1", CampaignExists)],
            ),
            ladder(
                [],
                with_codes("d"),
                &[
                    ("", CodesIncomplete),
                    ("HSET codes:CODES 1 one", CodesIncomplete),
                    ("HSET codes:CODES 2 two", CampaignCreated),
                ],
            ),
        ],
        Kind::CampaignClose => vec![
            ladder([], end("c"), &[("", CampaignNotFound)]),
            ladder(
                [create("c", 3)],
                end("c"),
                &[("HSET campaign:c issued x", CorruptState), ("HSET campaign:c issued 3", Closed)],
            ),
            ladder([create("c", 3), end("c")], end("c"), &[("", Ended)]),
        ],
        Kind::CampaignSetLimit => vec![
            ladder([], set_limit("c", 1, None), &[("", CampaignNotFound)]),
            ladder(
                [create("c", 3), redeem("c", "u", 3)],
                set_limit("c", 1, Some(8)),
                &[
                    ("HSET campaign:c codes CODES codes_count 1", CorruptState),
                    ("HSET campaign:c limit 4 codes_count 4", LimitNotAsExpected),
                    ("HSET campaign:c limit 8 codes_count 8", LimitBelowIssued),
                ],
            ),
            ladder(
                [create("c", 8)],
                set_limit("c", 9, Some(8)),
                &[
                    ("HSET campaign:c codes CODES codes_count 8", LimitAboveCodes),
                    ("HSET campaign:c codes_count 9", LimitSet),
                ],
            ),
        ],
        // What they meet beside that: `giving_back.rs`.
        Kind::Refund => vec![ladder([], refund("a", &id("w"), 5), &[("", AccountNotFound)])],
        Kind::Reverse => vec![ladder([], reverse("c", "u", 1, &id("r")), &[("", CampaignNotFound)])],
        Kind::CaseOpen => vec![
            ladder([], case_open("l"), &[("", CaseOpened)]),
            ladder(
                [case_open("l")],
                case_open("l"),
                &[("HSET case:l version 0", CorruptState), ("HSET case:l version 1", CaseExists)],
            ),
        ],
        Kind::CaseAmend => vec![
            ladder([], amend("l", None, Some(7)), &[("", CaseNotFound)]),
            ladder(
                [case_open("l"), decide("l", "approve", "ann", None)],
                amend("l", None, Some(7)),
                &[
                    ("HSET case:l by ''", CorruptState),
                    ("HSET case:l by ann", AlreadyDecided),
                    ("HSET case:l decision '' by '' reason ''", VersionMismatch),
                    ("HSET case:l version 7", CaseAmended),
                ],
            ),
        ],
        Kind::Decide => vec![
            ladder([], decide("l", "perhaps", "bob", Some(7)), &[("", CaseNotFound)]),
            ladder(
                [case_open("l"), decide("l", "approve", "ann", None)],
                decide("l", "perhaps", "bob", Some(7)),
                &[
                    ("HSET case:l decision maybe", CorruptState),
                    ("HSET case:l decision approve", AlreadyDecided),
                    ("HSET case:l decision '' by '' reason ''", VersionMismatch),
                    ("HSET case:l version 7", NotAnOption),
                    ("HSET case:l options approve,perhaps", Decided),
                ],
            ),
        ],
        Kind::PayoutBegin
        | Kind::PayoutPost
        | Kind::PayoutRefuse
        | Kind::PayoutReview
        | Kind::PayoutNotSent
        | Kind::PayoutVoid => Vec::new(),
        other => precedence_of_sales::ladders(other).unwrap_or_default(),
    }
}

/// Climbs the ladders of a kind. No refusal may change anything but its own journal line and receipt.
async fn climb(kind: Kind) {
    let ladders = ladders(kind);
    assert!(!ladders.is_empty());
    for Ladder { given, request, rungs } in ladders {
        let mut space = Space::new().await;
        for request in given {
            space.make(request).await;
        }
        for (repair, code) in &rungs {
            if !repair.is_empty() {
                mend(&mut space, repair).await;
            }
            match code.class() {
                // What the effect changes is the subject of another test.
                Class::Applied | Class::Pending => {
                    assert_eq!(space.make(request.clone()).await, *code, "{request:?} after {repair}");
                }
                _ => decides(&mut space, &request, *code, &[]).await,
            }
        }
    }
}

async fn mend(space: &mut Space, repair: &str) {
    let now = space.now_ms().await;
    let tag = space.keys.head().trim_end_matches("head").to_owned();
    let words = repair.split(' ').enumerate().map(|(at, word)| match word {
        _ if at == 1 => format!("{tag}{}", word.replace("CODES", &codes_name())),
        "''" => String::new(),
        "PAST" => (now - 1_000).to_string(),
        "FUTURE" => (now + 3_600_000).to_string(),
        "CODES" => codes_name(),
        "PENS" => precedence_of_sales::name_of_pens(),
        word => word.replace('~', " "),
    });
    let words: Vec<String> = words.collect();
    space.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// A test for each kind that has ladders.
macro_rules! climbs {
    ($($test:ident $kind:ident)*) => {
        const CLIMBED: &[Kind] = &[$(Kind::$kind),*];
        $(#[tokio::test]
        async fn $test() {
            climb(Kind::$kind).await;
        })*
    };
}
climbs! {
    a_redemption Redeem
    a_withdrawal Withdraw
    a_payout Payout
    a_transfer Transfer
    a_purchase Purchase
    a_reservation Reserve
    a_commit Commit
    a_release Release
    more_time_for_a_reservation Extend
    a_return Return
    an_exchange Exchange
    a_deposit Deposit
    a_refund Refund
    a_reversal Reverse
    an_account_that_is_opened AccountOpen
    an_account_that_is_closed AccountClose
    a_campaign_that_is_created CampaignCreate
    a_campaign_that_is_closed CampaignClose
    a_new_limit CampaignSetLimit
    a_case_that_is_opened CaseOpen
    a_case_that_is_amended CaseAmend
    a_decision Decide
    an_inventory_that_is_created InventoryCreate
    an_inventory_that_is_loaded InventoryLoad
    more_of_an_item InventoryRestock
    a_new_quantity InventorySetQuantity
    an_inventory_that_is_closed InventoryClose
    an_inventory_that_is_cancelled InventoryCancel
    an_inventory_that_is_archived InventoryArchive
}

/// Codes that other tests see, since no request by itself can bring them about.
const ELSEWHERE: [(Code, &str); 11] = [
    (Code::Cancelled, include_str!("../cancel.rs")),
    (Code::AlreadyReversed, include_str!("../giving_back.rs")),
    (Code::RefundExceeds, include_str!("../giving_back.rs")),
    (Code::Refunded, include_str!("../giving_back.rs")),
    (Code::Reversed, include_str!("../giving_back.rs")),
    (Code::Paying, include_str!("../payout.rs")),
    (Code::NeedsReview, include_str!("../payout.rs")),
    (Code::PayoutRefused, include_str!("../payout.rs")),
    (Code::PayoutVoided, include_str!("../payout.rs")),
    (Code::PaidAfterVoid, include_str!("../payout.rs")),
    (Code::Paid, include_str!("../payout.rs")),
];

#[test]
fn every_kind_and_every_stored_code_has_its_rung() {
    let climbed: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| !ladders(*kind).is_empty()).collect();
    assert_eq!(CLIMBED, climbed, "a kind without its test");
    let ladders: Vec<Ladder> = Kind::ALL.iter().flat_map(|kind| ladders(*kind)).collect();
    for Ladder { request, rungs, .. } in &ladders {
        assert!(rungs.is_sorted_by_key(|(_, code)| *code), "out of the order of the codes: {request:?}");
    }
    let seen: BTreeSet<Code> =
        ladders.iter().flat_map(|ladder| &ladder.rungs).map(|(_, code)| *code).collect();
    let elsewhere: BTreeSet<Code> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    assert!(seen.is_disjoint(&elsewhere), "{:?}", seen.intersection(&elsewhere));
    let stored = Code::ALL.iter().copied().filter(|code| code.stored() != Stored::No);
    let unseen: Vec<Code> = stored.filter(|code| !seen.contains(code) && !elsewhere.contains(code)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    for (code, test) in ELSEWHERE {
        assert!(test.contains(&format!("Code::{code:?}")), "{code} is not where this says");
    }
}
