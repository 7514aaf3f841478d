//! Refunds and reversals: what they give back is what was taken, and never more than once.

use tollgate::code::Code;
use tollgate::codes::Codes;
use tollgate::ids::JobId;
use tollgate::kinds::{CampaignCreate, Operation, Request, Reverse};
use tollgate::scripts::payout::{self, Step};
use tollgate::scripts::settle::Answer;
use tollgate_audit as audit;

use crate::races::{CLIENTS, race};
use crate::space::*;

pub(crate) async fn violations(s: &mut Space) -> Vec<String> {
    let report = audit::audit(&s.tollgate, &[], &|_| ()).await.unwrap();
    report.violations.iter().map(ToString::to_string).collect()
}

async fn passes(s: &mut Space) {
    assert_eq!(violations(s).await, [""; 0]);
}

async fn makes(s: &mut Space, id: &JobId, request: &Request, code: Code) {
    assert_eq!(s.settle_as(id, request).await.code(), Some(code), "{request:?}");
}

async fn available(s: &mut Space, account: &str) -> String {
    s.dump().await.hash(&format!("account:{account}"))["available"].clone()
}

async fn given_back(s: &mut Space, id: &JobId) -> (Option<&'static str>, Option<u64>) {
    let known = s.tollgate.lookup(std::slice::from_ref(id)).await.unwrap();
    let outcome = known.into_iter().flatten().next().unwrap();
    (outcome.code, outcome.given_back)
}

#[tokio::test]
async fn a_withdrawal_is_refunded_in_parts_and_never_beyond_itself() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    // Of timed and of timeless ids: their receipts are kept in different places.
    for of in [JobId::fresh(), id("mine")] {
        makes(s, &of, &withdraw("a", 60), Code::Withdrawn).await;
        assert_eq!(given_back(s, &of).await, (Some("withdrawn"), None));
        let (first, part) = (JobId::fresh(), refund("a", &of, 25));
        makes(s, &first, &part, Code::Refunded).await;
        assert_eq!(
            (available(s, "a").await.as_str(), given_back(s, &of).await),
            ("65", (Some("withdrawn"), Some(25)))
        );
        assert_eq!(s.make(refund("a", &of, 36)).await, Code::RefundExceeds);
        assert_eq!(s.make(refund("a", &of, 35)).await, Code::Refunded);
        assert_eq!(s.make(refund("a", &of, 1)).await, Code::RefundExceeds);
        // The withdrawal is what it was, and a refund that is sent again is the same one.
        assert!(matches!(
            s.settle_as(&of, &withdraw("a", 60)).await,
            Answer::Replayed { code: Code::Withdrawn, .. }
        ));
        assert!(matches!(s.settle_as(&first, &part).await, Answer::Replayed { code: Code::Refunded, .. }));
        assert_eq!(
            (available(s, "a").await.as_str(), given_back(s, &of).await),
            ("100", (Some("withdrawn"), Some(60)))
        );
    }
    passes(s).await;
}

#[tokio::test]
async fn of_one_batch_each_sees_what_the_ones_before_it_gave_back() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    s.make(create_for_each("c", 1, Some(1))).await;
    let (w, r) = (JobId::fresh(), id("mine"));
    let requests = [
        (w.clone(), withdraw("a", 60), Code::Withdrawn),
        (JobId::fresh(), refund("a", &w, 40), Code::Refunded),
        (JobId::fresh(), refund("a", &w, 40), Code::RefundExceeds),
        (JobId::fresh(), refund("a", &w, 20), Code::Refunded),
        (r.clone(), redeem("c", "u", 1), Code::Redeemed),
        (JobId::fresh(), reverse("c", "u", 1, &r), Code::Reversed),
        (JobId::fresh(), reverse("c", "u", 1, &r), Code::AlreadyReversed),
        (JobId::fresh(), redeem("c", "u", 1), Code::Redeemed),
    ];
    let jobs: Vec<_> = requests.iter().map(|(id, request, _)| (None, id, request)).collect();
    let codes: Vec<_> =
        s.settle(&jobs).await.unwrap().answers.iter().map(|answer| answer.code().unwrap()).collect();
    assert_eq!(codes, requests.iter().map(|(.., code)| *code).collect::<Vec<_>>());
    let dump = s.dump().await;
    assert_eq!(
        (dump.hash("account:a")["available"].as_str(), dump.hash("holders:c")["u"].as_str()),
        ("100", "1")
    );
    passes(s).await;
}

#[tokio::test]
async fn a_payout_is_refunded_once_it_is_paid() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    let (paid, voided) = (JobId::fresh(), JobId::fresh());
    let account = "a".parse().unwrap();
    for of in [&paid, &voided] {
        makes(s, of, &payout("a", 30), Code::Held).await;
        assert_eq!(s.make(refund("a", of, 1)).await, Code::PayoutNotPaid);
    }
    payout::step(&mut s.link, &s.keys, &account, &paid, &Step::PostByHand { note: "seen" }).await.unwrap();
    payout::step(&mut s.link, &s.keys, &account, &voided, &Step::VoidByHand { note: "no" }).await.unwrap();
    assert_eq!(s.make(refund("a", &voided, 1)).await, Code::NothingToGiveBack);
    assert_eq!(s.make(refund("a", &paid, 31)).await, Code::RefundExceeds);
    assert_eq!(s.make(refund("a", &paid, 30)).await, Code::Refunded);
    assert_eq!(given_back(s, &paid).await, (Some("paid"), Some(30)));
    passes(s).await;
}

#[tokio::test]
async fn a_reversed_redemption_leaves_its_campaign_and_its_customer_free_again() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create_for_each("c", 3, Some(2))).await;
    let (of, request) = (JobId::fresh(), redeem("c", "u", 2));
    makes(s, &of, &request, Code::Redeemed).await;
    assert_eq!(s.make(redeem("c", "u", 1)).await, Code::CustomerLimitReached);
    assert_eq!(s.make(redeem("c", "v", 2)).await, Code::CampaignLimitReached);
    let reversal = JobId::fresh();
    makes(s, &reversal, &reverse("c", "u", 2, &of), Code::Reversed).await;
    makes(s, &reversal, &reverse("c", "u", 2, &of), Code::Reversed).await;
    assert_eq!(s.make(reverse("c", "u", 2, &of)).await, Code::AlreadyReversed);
    assert_eq!(given_back(s, &of).await, (Some("redeemed"), Some(2)));
    let dump = s.dump().await;
    assert!(!dump.0.contains_key("holders:c"), "who has nothing is no holder");
    assert_eq!(
        (dump.hash("campaign:c")["issued"].as_str(), dump.hash("campaign:c")["reversed"].as_str()),
        ("0", "2")
    );
    passes(s).await;
    // Sent again it is what it was: it takes nothing a second time.
    assert!(matches!(s.settle_as(&of, &request).await, Answer::Replayed { code: Code::Redeemed, .. }));
    assert_eq!(s.make(redeem("c", "u", 1)).await, Code::Redeemed);
    assert_eq!(s.make(redeem("c", "v", 2)).await, Code::Redeemed);
    // Also of a campaign that has ended.
    s.make(end("c")).await;
    let last = s.dump().await.hash("holders:c");
    assert_eq!(
        last.into_iter().collect::<Vec<_>>(),
        [("u".to_owned(), "1".to_owned()), ("v".to_owned(), "2".to_owned())]
    );
    passes(s).await;
}

#[tokio::test]
async fn a_code_that_was_handed_out_is_not_handed_out_again() {
    let mut space = Space::new().await;
    let s = &mut space;
    let codes = Codes::read(&b"AAA\nBBB\nCCC\n"[..]).unwrap();
    let keys = s.keys.clone();
    codes.upload(&mut s.link, &keys).await.unwrap();
    s.make(CampaignCreate { codes: Some(codes.name().clone()), ..terms("c", 3) }.into()).await;
    let code_of = async |s: &mut Space, customer: &str| {
        let of = JobId::fresh();
        let Answer::Decided { code: Code::Redeemed, seq } = s.settle_as(&of, &redeem("c", customer, 1)).await
        else {
            panic!()
        };
        (of, tollgate::coupon::at(&mut s.link, &keys, seq).await.unwrap().unwrap().unwrap())
    };
    let (first, a) = code_of(s, "u").await;
    let (_, b) = code_of(s, "v").await;
    makes(s, &JobId::fresh(), &reverse("c", "u", 1, &first), Code::Reversed).await;
    let (third, c) = code_of(s, "u").await;
    assert_eq!([a, b, c], ["AAA", "BBB", "CCC"]);
    // One coupon could still be issued by the limit, but no code is left for it.
    makes(s, &JobId::fresh(), &reverse("c", "u", 1, &third), Code::Reversed).await;
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
    assert_eq!(s.make(redeem("c", "w", 1)).await, Code::CampaignLimitReached);
    passes(s).await;
}

/// Asked for, a code goes to whoever redeems next; no two redemptions that stand ever have the same.
#[tokio::test]
async fn a_code_is_handed_out_again_where_that_is_asked_for() {
    let mut space = Space::new().await;
    let s = &mut space;
    let codes = Codes::read(&b"AAA\nBBB\nCCC\nDDD\n"[..]).unwrap();
    let keys = s.keys.clone();
    codes.upload(&mut s.link, &keys).await.unwrap();
    s.make(CampaignCreate { codes: Some(codes.name().clone()), ..terms("c", 4) }.into()).await;
    s.make(create("d", 4)).await;
    let again = |campaign: &str, of: &JobId| match reverse(campaign, "u", 1, of) {
        Request::Operation(Operation::Reverse(reverse)) => Reverse { reissue_code: true, ..reverse },
        other => panic!("{other:?}"),
    };
    let code_of = async |s: &mut Space| {
        let of = JobId::fresh();
        let Answer::Decided { code: Code::Redeemed, seq } = s.settle_as(&of, &redeem("c", "u", 1)).await
        else {
            panic!()
        };
        (of, tollgate::coupon::at(&mut s.link, &keys, seq).await.unwrap().unwrap().unwrap())
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(code_of(s).await);
    }
    // The second and the first come back, in this order; the third is void.
    for at in [1, 0] {
        let answer = s.settle_as(&JobId::fresh(), &again("c", &held[at].0)).await;
        assert_eq!(answer.code(), Some(Code::Reversed));
    }
    makes(s, &JobId::fresh(), &reverse("c", "u", 1, &held[2].0), Code::Reversed).await;
    let campaign = s.dump().await.hash("campaign:c");
    assert_eq!([&campaign["issued"], &campaign["reversed"], &campaign["returned"]], ["0", "1", "2,1"]);
    passes(s).await;
    // Twice the same is given back once.
    let twice = s.settle_as(&JobId::fresh(), &again("c", &held[1].0)).await;
    assert_eq!(twice.code(), Some(Code::AlreadyReversed));
    let mut standing = Vec::new();
    for _ in 0..3 {
        standing.push(code_of(s).await);
    }
    let names: Vec<&str> = standing.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(names, ["BBB", "AAA", "DDD"]);
    assert_eq!(s.make(redeem("c", "w", 1)).await, Code::CampaignLimitReached);
    // And what was handed out again, in one batch with whoever gets it next.
    let (one, next) = (JobId::fresh(), JobId::fresh());
    let batch: [Request; 2] = [again("c", &standing[0].0).into(), redeem("c", "v", 1)];
    let answers = s.settle(&[(None, &one, &batch[0]), (None, &next, &batch[1])]).await.unwrap().answers;
    let Answer::Decided { code: Code::Redeemed, seq } = answers[1] else { panic!("{answers:?}") };
    assert_eq!(tollgate::coupon::at(&mut s.link, &keys, seq).await.unwrap().unwrap().unwrap(), "BBB");
    assert_eq!(s.dump().await.hash("campaign:c")["returned"], "");
    passes(s).await;
    // A campaign without codes has none to hand out again.
    let plain = JobId::fresh();
    s.settle_as(&plain, &redeem("d", "u", 1)).await;
    assert_eq!(s.settle_as(&JobId::fresh(), &again("d", &plain)).await, Answer::Undecided(Code::NoCode));
    // Damage: a code that waits although a redemption that stands has it.
    let key = s.keys.campaign(&"c".parse().unwrap());
    s.run(&["HSET", &key, "returned", "1"]).await;
    assert!(violations(s).await.concat().contains("returned is not what the journal says"));
}

#[tokio::test]
async fn what_is_named_must_be_what_was_taken() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    s.make(open("b", 100)).await;
    s.make(create("c", 9)).await;
    s.make(create("d", 9)).await;
    let [w, refused, r, limit, d] = ["w", "refused", "r", "limit", "d"].map(id);
    makes(s, &w, &withdraw("a", 60), Code::Withdrawn).await;
    makes(s, &refused, &withdraw("a", 60), Code::InsufficientFunds).await;
    makes(s, &r, &redeem("c", "u", 2), Code::Redeemed).await;
    makes(s, &limit, &redeem("c", "u", 9), Code::CampaignLimitReached).await;
    makes(s, &d, &deposit("a", 1), Code::Deposited).await;
    let floor = s.set_floor(-100).await;
    let old = timed_id(-200, 1);
    assert!(floor > 0);
    let before = s.dump().await;
    for (request, code) in [
        (refund("a", &id("nothing"), 1), Code::OriginalNotFound),
        (refund("a", &old, 1), Code::OriginalExpired),
        (refund("a", &refused, 1), Code::NothingToGiveBack),
        (refund("a", &d, 1), Code::NothingToGiveBack),
        (refund("a", &r, 1), Code::NothingToGiveBack),
        (refund("b", &w, 1), Code::OriginalMismatch),
        (refund("nobody", &w, 1), Code::AccountNotFound),
        (reverse("c", "u", 2, &id("nothing")), Code::OriginalNotFound),
        (reverse("c", "u", 2, &old), Code::OriginalExpired),
        (reverse("c", "u", 9, &limit), Code::NothingToGiveBack),
        (reverse("c", "u", 2, &w), Code::NothingToGiveBack),
        (reverse("c", "u", 1, &r), Code::OriginalMismatch),
        (reverse("c", "v", 2, &r), Code::OriginalMismatch),
        (reverse("d", "u", 2, &r), Code::OriginalMismatch),
        (reverse("nowhere", "u", 2, &r), Code::CampaignNotFound),
    ] {
        let answer = s.settle_as(&JobId::fresh(), &request).await;
        assert_eq!(answer, Answer::Undecided(code), "{request:?}");
    }
    assert_eq!(before.changed(&s.dump().await), [""; 0]);
    // What cannot be read is damage, never something to give back.
    let (kept, journal) = (s.keys.receipts(tollgate::ids::Bucket::Kept), s.keys.journal());
    s.run(&["HSET", &kept, "w", "0123456789abcdef withdrawn 5 60"]).await;
    assert_eq!(s.make(refund("a", &w, 1)).await, Code::CorruptState);
    s.run(&["HSET", &kept, "w", "0123456789abcdef withdrawn 7"]).await;
    assert_eq!(s.make(refund("a", &w, 1)).await, Code::CorruptState);
    s.run(&["XDEL", &journal, "7-0"]).await;
    assert_eq!(s.make(reverse("c", "u", 2, &r)).await, Code::CorruptState);
}

#[tokio::test]
async fn however_many_race_no_more_comes_back_than_was_taken() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    s.make(create_for_each("c", 1, Some(1))).await;
    let (w, r) = (JobId::fresh(), JobId::fresh());
    makes(s, &w, &withdraw("a", 100), Code::Withdrawn).await;
    let answers = race(s, |_| JobId::fresh(), |_| refund("a", &w, 7)).await;
    let count =
        |answers: &[Answer], code| answers.iter().filter(|answer| answer.code() == Some(code)).count();
    assert_eq!((count(&answers, Code::Refunded), count(&answers, Code::RefundExceeds)), (14, CLIENTS - 14));
    assert_eq!(available(s, "a").await, "98");
    // Reversals beside redemptions of the same customer: one is reversed, and one takes its place.
    makes(s, &r, &redeem("c", "u", 1), Code::Redeemed).await;
    let ask = |n: usize| if n.is_multiple_of(2) { reverse("c", "u", 1, &r) } else { redeem("c", "u", 1) };
    let answers = race(s, |_| JobId::fresh(), ask).await;
    assert_eq!(
        (count(&answers, Code::Reversed), count(&answers, Code::AlreadyReversed)),
        (1, CLIENTS / 2 - 1)
    );
    assert!(count(&answers, Code::Redeemed) <= 1);
    passes(s).await;
}

/// What Redis holds says otherwise than the journal.
#[tokio::test]
async fn the_audit_sees_what_was_given_back_and_is_not_told() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    s.make(create("c", 9)).await;
    let [w, r, v] = ["w", "r", "v"].map(id);
    makes(s, &w, &withdraw("a", 60), Code::Withdrawn).await;
    makes(s, &r, &redeem("c", "u", 2), Code::Redeemed).await;
    makes(s, &v, &withdraw("a", 1), Code::Withdrawn).await;
    assert_eq!(s.make(refund("a", &w, 9)).await, Code::Refunded);
    assert_eq!(s.make(reverse("c", "u", 2, &r)).await, Code::Reversed);
    passes(s).await;
    let kept = s.keys.receipts(tollgate::ids::Bucket::Kept);
    let campaign = s.keys.campaign(&"c".parse().unwrap());
    let holders = s.keys.holders(&"c".parse().unwrap());
    for (key, field, edit, check) in [
        (&kept, "w", Edit::Words(3), "G4"),
        (&kept, "w", Edit::To("8 6"), "G4"),
        (&kept, "w", Edit::To("9 1"), "G4"),
        (&kept, "r", Edit::Words(3), "G4"),
        (&kept, "v", Edit::To("1 6"), "G4"),
        (&campaign, "issued", Edit::All("2"), "G1"),
        (&campaign, "reversed", Edit::All("0"), "G1"),
        (&holders, "u", Edit::All("2"), "G1"),
    ] {
        let before = s.text(&["HGET", key, field]).await;
        let words: Vec<&str> = before.as_deref().unwrap_or_default().split(' ').collect();
        let after = match edit {
            Edit::Words(count) => words[..count].join(" "),
            Edit::To(text) => format!("{} {text}", words[..3].join(" ")),
            Edit::All(text) => text.to_owned(),
        };
        s.run(&["HSET", key, field, &after]).await;
        let found = violations(s).await;
        assert!(found.iter().any(|violation| violation.contains(check)), "{field} {after}: {found:#?}");
        match before {
            Some(before) => s.run(&["HSET", key, field, &before]).await,
            None => s.run(&["HDEL", key, field]).await,
        };
    }
    passes(s).await;
}

enum Edit {
    /// Only its first words.
    Words(usize),
    /// Its first three, and these.
    To(&'static str),
    All(&'static str),
}
