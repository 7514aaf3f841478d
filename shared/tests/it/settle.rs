//! `settle`, kind by kind and code by code: what it answers, and exactly which keys it changes.

use std::collections::BTreeSet;

use tollgate::code::{Code, Stored};
use tollgate::codes_name::CodesName;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::ids::{Bucket, JobId};
use tollgate::instant::Instant;
use tollgate::kinds::{CampaignCreate, Request};
use tollgate::quantity::Quantity;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;

use crate::harness::TestRedis;
use crate::space::*;

const MAX: u64 = tollgate::amount::NUMBER_MAX;

/// Settles `request` under a fresh id; it must change the keys of its effect and nothing else.
async fn decides(space: &mut Space, request: &Request, code: Code, keys: &[&str]) {
    let id = JobId::fresh();
    let before = space.dump().await;
    let answer = space.settle_as(&id, request).await;
    assert_eq!(answer.code(), Some(code), "{request:?}");
    let after = space.dump().await;
    let mut expected: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
    if code.stored() == Stored::Yes {
        let Bucket::Hour(hour) = id.bucket() else { panic!("{id}") };
        let receipts = format!("receipts:{hour}");
        let Answer::Decided { seq, .. } = answer else { panic!("{answer:?}") };
        assert!(after.hash(&receipts)[id.as_str()].ends_with(&format!(" {code} {seq}")));
        assert_eq!(after.hash("head")["seq"], seq.to_string());
        assert_eq!(after.stream_len("journal"), before.stream_len("journal") + 1);
        expected.extend([receipts, "journal".to_owned(), "head".to_owned()]);
    } else {
        assert!(keys.is_empty());
    }
    assert_eq!(before.changed(&after), Vec::from_iter(expected), "{request:?} {code}");
}

#[tokio::test]
async fn an_effect_touches_its_own_keys_only() {
    let mut space = Space::new().await;
    let s = &mut space;
    decides(s, &create("c", 5), Code::CampaignCreated, &["campaign:c", "resources"]).await;
    decides(s, &redeem("c", "u", 2), Code::Redeemed, &["campaign:c", "holders:c"]).await;
    decides(s, &set_limit("c", 7, None), Code::LimitSet, &["campaign:c"]).await;
    decides(s, &end("c"), Code::CampaignClosedNow, &["campaign:c"]).await;
    decides(s, &open("a", 0), Code::AccountOpened, &["account:a", "resources"]).await;
    decides(s, &deposit("a", 7), Code::Deposited, &["account:a"]).await;
    decides(s, &withdraw("a", 7), Code::Withdrawn, &["account:a"]).await;
    decides(s, &close("a"), Code::AccountClosedNow, &["account:a"]).await;
    let dump = s.dump().await;
    let campaign = dump.hash("campaign:c");
    let field = |name: &str| campaign[name].as_str();
    assert_eq!([field("limit"), field("issued"), field("status"), field("seq")], ["7", "2", "closed", "4"]);
    assert_eq!([field("per_customer"), field("opens_at_ms"), field("codes")], ["", "", ""]);
    assert_eq!(dump.hash("holders:c")["u"], "2");
    let account = dump.hash("account:a");
    let field = |name: &str| account[name].as_str();
    assert_eq!([field("available"), field("held"), field("status"), field("seq")], ["0", "0", "closed", "8"]);
    assert_eq!(dump.members("resources"), ["account:a", "campaign:c"]);
}

/// Settles `steps` in turn; before each of them one cause is repaired, so that the next code in order of
/// precedence shows. No refusal may change anything but its own journal line and receipt.
async fn ladder(space: &mut Space, seen: &mut Vec<Code>, request: &Request, steps: &[(&[&str], Code)]) {
    for (repair, code) in steps {
        if !repair.is_empty() {
            let tag = space.keys.head().trim_end_matches("head").to_owned();
            let words: Vec<String> = repair
                .iter()
                .enumerate()
                .map(|(i, word)| if i == 1 { format!("{tag}{word}") } else { (*word).to_owned() })
                .collect();
            space.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        if code.class() == tollgate::code::Class::Applied {
            assert_eq!(space.make(request.clone()).await, *code, "{request:?}");
        } else {
            decides(space, request, *code, &[]).await;
        }
        seen.push(*code);
    }
    let codes: Vec<Code> = steps.iter().map(|(_, code)| *code).collect();
    assert!(codes.is_sorted(), "out of the order of the codes: {codes:?}");
}

#[tokio::test]
async fn of_several_causes_the_first_in_the_order_of_codes_is_told() {
    let mut space = Space::new().await;
    let s = &mut space;
    let mut seen = Vec::new();
    let now = s.now_ms().await;
    let (past, future) = ((now - 1000).to_string(), (now + 3_600_000).to_string());

    let mut bounded = terms("c", 3);
    bounded.per_customer = Quantity::new(1);
    let bounded = bounded.into();
    ladder(s, &mut seen, &redeem("c", "u", 1), &[(&[], Code::CampaignNotFound)]).await;
    ladder(s, &mut seen, &end("c"), &[(&[], Code::CampaignNotFound)]).await;
    ladder(s, &mut seen, &set_limit("c", 1, None), &[(&[], Code::CampaignNotFound)]).await;
    ladder(s, &mut seen, &bounded, &[(&[], Code::CampaignCreated)]).await;
    s.make(redeem("c", "u", 1)).await;
    // Closed, over, not begun, nothing left, and the customer has had theirs: all at once.
    let damage = ["HSET", "campaign:c", "limit", "0", "status", "closed", "opens_at_ms", &future];
    ladder(
        s,
        &mut seen,
        &redeem("c", "u", 1),
        &[
            (&damage, Code::CorruptState),
            (&["HSET", "campaign:c", "limit", "1"], Code::Ended),
            (&["HSET", "campaign:c", "status", "open", "closes_at_ms", &past], Code::Ended),
            (&["HSET", "campaign:c", "closes_at_ms", ""], Code::NotStarted),
            (&["HSET", "campaign:c", "opens_at_ms", &past], Code::CampaignLimitReached),
            (&["HSET", "campaign:c", "limit", "9"], Code::CustomerLimitReached),
            (&["HSET", "campaign:c", "per_customer", "2"], Code::Redeemed),
        ],
    )
    .await;
    s.make(redeem("c", "v", 1)).await;
    let codes = "a".repeat(64);
    ladder(
        s,
        &mut seen,
        &set_limit("c", 1, Some(8)),
        &[
            (&["HSET", "campaign:c", "codes", &codes, "codes_count", "1"], Code::CorruptState),
            (&["HSET", "campaign:c", "limit", "4", "codes_count", "4"], Code::LimitNotAsExpected),
            (&["HSET", "campaign:c", "limit", "8", "codes_count", "8"], Code::LimitBelowIssued),
        ],
    )
    .await;
    ladder(
        s,
        &mut seen,
        &set_limit("c", 9, Some(8)),
        &[(&[], Code::LimitAboveCodes), (&["HSET", "campaign:c", "codes_count", "9"], Code::LimitSet)],
    )
    .await;
    ladder(s, &mut seen, &redeem("c", "z", 2), &[(&[], Code::QuantityOutOfRange)]).await;
    ladder(
        s,
        &mut seen,
        &end("c"),
        &[
            (&["HSET", "campaign:c", "issued", "x"], Code::CorruptState),
            (&["HSET", "campaign:c", "issued", "3"], Code::CampaignClosedNow),
        ],
    )
    .await;
    ladder(s, &mut seen, &end("c"), &[(&[], Code::Ended)]).await;

    let name = CodesName::parse(&codes).unwrap();
    let with_codes = |campaign: &str| CampaignCreate { codes: Some(name.clone()), ..terms(campaign, 2) };
    // With codes that are not there: an existing campaign is the first cause all the same.
    let again = with_codes("c").into();
    ladder(
        s,
        &mut seen,
        &again,
        &[
            (&["HSET", "campaign:c", "seq", "-1"], Code::CorruptState),
            (&["HSET", "campaign:c", "seq", "1"], Code::CampaignExists),
        ],
    )
    .await;
    let upload = format!("codes:{codes}");
    ladder(
        s,
        &mut seen,
        &with_codes("d").into(),
        &[
            (&[], Code::CodesIncomplete),
            (&["HSET", &upload, "1", "one"], Code::CodesIncomplete),
            (&["HSET", &upload, "2", "two"], Code::CampaignCreated),
        ],
    )
    .await;

    for request in [withdraw("a", 5), deposit("a", 5), close("a")] {
        ladder(s, &mut seen, &request, &[(&[], Code::AccountNotFound)]).await;
    }
    ladder(s, &mut seen, &open("a", 4), &[(&[], Code::AccountOpened)]).await;
    ladder(
        s,
        &mut seen,
        &open("a", 4),
        &[
            (&["HSET", "account:a", "held", ""], Code::CorruptState),
            (&["HSET", "account:a", "held", "0"], Code::AccountExists),
        ],
    )
    .await;
    ladder(
        s,
        &mut seen,
        &withdraw("a", 5),
        &[
            (&["HSET", "account:a", "currency", "EUR", "status", "gone"], Code::CorruptState),
            (&["HSET", "account:a", "status", "closed"], Code::AccountClosed),
            (&["HSET", "account:a", "status", "open"], Code::CurrencyMismatch),
            (&["HSET", "account:a", "currency", "USD"], Code::InsufficientFunds),
            (&["HSET", "account:a", "available", "5"], Code::Withdrawn),
        ],
    )
    .await;
    let most = (MAX - 4).to_string();
    ladder(
        s,
        &mut seen,
        &deposit("a", 5),
        &[
            (
                &["HSET", "account:a", "currency", "EUR", "status", "closed", "available", &most],
                Code::AccountClosed,
            ),
            (&["HSET", "account:a", "status", "open"], Code::CurrencyMismatch),
            (&["HSET", "account:a", "currency", "USD"], Code::BalanceLimitReached),
            (&["HSET", "account:a", "available", &(MAX - 5).to_string()], Code::Deposited),
        ],
    )
    .await;
    ladder(
        s,
        &mut seen,
        &close("a"),
        &[
            (&["HSET", "account:a", "status", "closed"], Code::AccountClosed),
            (&["HSET", "account:a", "status", "open"], Code::AccountNotEmpty),
            (&["HSET", "account:a", "available", "0", "held", "1"], Code::AccountNotEmpty),
            (&["HSET", "account:a", "held", "0"], Code::AccountClosedNow),
        ],
    )
    .await;

    // Every stored code that is not a payout's has been seen; `cancel.rs` has its own.
    let unseen: Vec<_> = Code::ALL
        .iter()
        .filter(|code| code.stored() == Stored::Yes && !seen.contains(code))
        .map(|code| code.name())
        .filter(|name| !name.starts_with("pa") && !["held", "needs_review", "cancelled"].contains(name))
        .collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[tokio::test]
async fn what_is_known_of_an_id_comes_before_its_resource() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 3)).await;
    let used = JobId::fresh();
    let first = s.settle_as(&used, &redeem("c", "u", 1)).await;
    let Answer::Decided { seq, .. } = first else { panic!("{first:?}") };
    let campaign = s.keys.campaign(&"c".parse().unwrap());
    s.run(&["HSET", &campaign, "limit", "damaged"]).await;

    let before = s.dump().await;
    assert_eq!(
        s.settle_as(&used, &redeem("c", "u", 1)).await,
        Answer::Replayed { code: Code::Redeemed, seq }
    );
    assert_eq!(s.settle_as(&used, &redeem("c", "u", 2)).await, Answer::Mismatch { seq });
    let floor = s.stats().await.head.receipts_floor_hour;
    let old = timed_id(floor as i64 - (s.now_ms().await / 3_600_000) as i64 - 1, 1);
    assert_eq!(s.settle_as(&old, &redeem("c", "u", 1)).await, Answer::Expired);
    let after = s.dump().await;
    assert_eq!(before.changed(&after), ["head"]);
    let head = |name: &str| after.hash("head")[name].clone();
    assert_eq!([head("replayed"), head("mismatched"), head("expired")], ["1", "1", "1"]);

    let future = timed_id(26, 1);
    let from_future = Answer::Undecided(Code::IdFromFuture);
    assert_eq!(s.settle_as(&future, &redeem("c", "u", 1)).await, from_future);
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await, Answer::Undecided(Code::CorruptState));
    assert!(after.changed(&s.dump().await).is_empty(), "undecided: nothing is written");
    s.run(&["HSET", &campaign, "limit", "3"]).await;
    // Within a day of the server's clock is the future that clocks are allowed.
    assert_eq!(s.settle_as(&timed_id(23, 1), &redeem("c", "u", 1)).await.code(), Some(Code::Redeemed));
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await.code(), Some(Code::Redeemed));
    let dump = s.dump().await;
    assert!(dump.hash("receipts:kept").contains_key("mine"), "a timeless id is kept for ever");

    // A damaged receipt speaks for nothing: the job waits for a repair.
    let kept = s.keys.receipts(Bucket::Kept);
    s.run(&["HSET", &kept, "mine", "scratched"]).await;
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await, Answer::Undecided(Code::CorruptState));
}

const BAD_NUMBERS: [&str; 12] =
    ["", " ", "-1", "1.5", "1e3", "0x10", "nan", "inf", " 1", "+1", "9007199254740992", "99999999999999999"];

#[tokio::test]
async fn a_damaged_resource_is_left_alone_and_spares_the_others() {
    let mut space = Space::new().await;
    let s = &mut space;
    for request in [create("bad", 9), create("good", 9), open("bad", 9), open("good", 9)] {
        s.make(request).await;
    }
    s.make(redeem("bad", "u", 1)).await;
    let key = |s: &Space, name: &str| format!("{}{name}", s.keys.head().trim_end_matches("head"));
    let campaign = key(s, "campaign:bad");
    let account = key(s, "account:bad");
    let mut damages: Vec<Vec<String>> = Vec::new();
    let mut damage = |words: &[&str]| damages.push(words.iter().map(ToString::to_string).collect());
    for bad in BAD_NUMBERS {
        for field in ["limit", "issued", "codes_count", "seq"] {
            damage(&["HSET", &campaign, field, bad]);
        }
        for field in ["available", "held", "seq"] {
            damage(&["HSET", &account, field, bad]);
        }
        if !bad.is_empty() {
            for field in ["per_customer", "opens_at_ms", "closes_at_ms"] {
                damage(&["HSET", &campaign, field, bad]);
            }
        }
        damage(&["HSET", &key(s, "holders:bad"), "u", bad]);
    }
    let fields = [
        "limit",
        "issued",
        "per_customer",
        "opens_at_ms",
        "closes_at_ms",
        "status",
        "codes",
        "codes_count",
        "seq",
    ];
    fields.iter().for_each(|field| damage(&["HDEL", &campaign, field]));
    ["available", "held", "currency", "status", "seq"]
        .iter()
        .for_each(|field| damage(&["HDEL", &account, field]));
    damage(&["HSET", &campaign, "status", "maybe"]);
    damage(&["HSET", &account, "status", ""]);
    damage(&["HSET", &account, "available", "9007199254740991", "held", "1"]);
    damage(&["HSET", &campaign, "issued", "10"]);
    damage(&["HSET", &key(s, "holders:bad"), "u", "2"]);
    damage(&["DEL", &campaign]);
    damage(&["DEL", &account]);
    for key in [&campaign, &account, &key(s, "holders:bad")] {
        damage(&["SET", key, "a string"]);
    }

    for words in damages {
        let target = words[1].clone();
        let saved: redis::Value = s.run(&["DUMP", &target]).await;
        s.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let before = s.dump().await;
        let ids: Vec<JobId> = (0..4).map(|_| JobId::fresh()).collect();
        let requests =
            [redeem("bad", "u", 1), redeem("good", "u", 1), withdraw("bad", 1), deposit("good", 1)];
        let jobs: Vec<_> = ids.iter().zip(&requests).map(|(id, request)| (None, id, request)).collect();
        let answers = s.settle(&jobs).await.unwrap().answers;
        let damaged = if target == account { 2 } else { 0 };
        let untouched = 2 - damaged;
        assert_eq!(answers[damaged], Answer::Undecided(Code::CorruptState), "{words:?}");
        assert!(matches!(answers[untouched], Answer::Decided { .. }), "{words:?}: {answers:?}");
        assert_eq!(
            [answers[1].code(), answers[3].code()],
            [Some(Code::Redeemed), Some(Code::Deposited)],
            "{words:?}"
        );
        let after = s.dump().await;
        let name = target.rsplit_once("}:").unwrap().1;
        assert_eq!(before.0.get(name), after.0.get(name), "{words:?}");
        // Put it back as it was, without the trace of the other resource.
        let redis::Value::BulkString(bytes) = saved else { panic!("{saved:?}") };
        let mut restore = redis::Cmd::new();
        restore.arg("RESTORE").arg(&target).arg(0).arg(bytes).arg("REPLACE");
        s.link.run(&restore).await.unwrap();
        for name in [&campaign, &account] {
            s.run(&["HSET", name, if *name == account { "available" } else { "limit" }, "9"]).await;
        }
        s.run(&["HSET", &campaign, "issued", "1"]).await;
        s.run(&["HSET", &key(s, "holders:bad"), "u", "1"]).await;
        s.run(&["HSET", &key(s, "campaign:good"), "limit", "999"]).await;
    }
}

#[tokio::test]
async fn a_damaged_partition_refuses_the_whole_call_before_any_write() {
    let fields = [
        "format",
        "frozen",
        "receipts_floor",
        "floor_highest",
        "seq",
        "hash",
        "acked",
        "replayed",
        "mismatched",
        "expired",
        "overtaken",
    ];
    let mut damages: Vec<Vec<String>> = Vec::new();
    let mut damage = |words: &[&str]| damages.push(words.iter().map(ToString::to_string).collect());
    for field in fields {
        damage(&["HDEL", "head", field]);
        if !["hash", "frozen", "format"].contains(&field) {
            BAD_NUMBERS.iter().for_each(|bad| damage(&["HSET", "head", field, bad]));
        }
    }
    damage(&["HSET", "head", "frozen", "timeline_regressed"]);
    damage(&["HSET", "head", "format", "1"]);
    damage(&["DEL", "head"]);
    for key in ["head", "journal", "parked", "receipts:kept", "queue:default"] {
        damage(&["SET", key, "a string"]);
    }
    damage(&["DEL", "journal"]);
    damage(&["XADD", "journal", "9-0", "foreign", "entry"]);
    damage(&["in_flight:default"]); // it is gone, and the head counts a row
    damage(&["SET", "in_flight:default", "a string"]);
    damage(&["HSET", "in_flight:default", "0-0", "no row"]);
    for words in damages {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 9)).await;
        let entries = s.deliver("w", &[job(&id("mine"), redeem("c", "u", 1))]).await;
        let tag = s.keys.head().trim_end_matches("head").to_owned();
        let target = format!("{tag}{}", words.get(1).unwrap_or(&words[0]));
        let words: Vec<&str> = match &words[..] {
            [_] => vec!["DEL", &target],
            [command, _, rest @ ..] => {
                [command.as_str(), &target].into_iter().chain(rest.iter().map(String::as_str)).collect()
            }
            [] => unreachable!(),
        };
        s.run(&words).await;
        let before = s.dump().await;
        let (entry, job) = &entries[0];
        let refused = s.settle(&[(Some(entry), &job.id, &job.request)]).await.unwrap_err();
        let expected = match words[..] {
            ["DEL", _] if target.ends_with("head") => Code::Uninitialised,
            ["HDEL" | "HSET", _, "frozen", ..] => Code::PartitionFrozen,
            _ => Code::CorruptPartition,
        };
        assert_eq!(refused.code(), Some(expected), "{words:?}: {refused}");
        assert!(before.changed(&s.dump().await).is_empty(), "{words:?}");
    }
    // The indexes of parked jobs count only where there are any.
    for key in ["scheduled", "dead"] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 9)).await;
        let (name, parked) = (format!("{}{key}", s.keys.head().trim_end_matches("head")), s.keys.parked());
        s.run(&["HSET", &parked, "x", "y"]).await;
        s.run(&["SET", &name, "a string"]).await;
        let before = s.dump().await;
        let refused = s.settle(&[(None, &id("mine"), &redeem("c", "u", 1))]).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::CorruptPartition));
        assert!(before.changed(&s.dump().await).is_empty());
    }
}

#[tokio::test]
async fn a_user_who_may_not_do_everything_does_nothing() {
    let mut space = Space::new().await;
    space.make(create("c", 9)).await;
    let entries = space.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
    for command in ["xadd", "hset", "hdel", "zadd", "zrem", "xtrim"] {
        let user = format!("{}-{command}", TestRedis::ns());
        let minus = format!("-{command}");
        space.run(&["ACL", "SETUSER", &user, "on", ">pw", "~*", "+@all", &minus]).await;
        let options = RedisOptions {
            url: Some(space.server.endpoint().to_string()),
            username: Some(user.clone()),
            password: Some("pw".to_owned()),
            ..RedisOptions::default()
        };
        let mut link = Server::open(Endpoint::parse(&options).unwrap()).link().await.unwrap();
        let before = space.dump().await;
        std::mem::swap(&mut space.link, &mut link);
        let (entry, job) = &entries[0];
        let refused = space.settle(&[(Some(entry), &job.id, &job.request)]).await.unwrap_err();
        std::mem::swap(&mut space.link, &mut link);
        let ScriptError::Failure(failure) = &refused else { panic!("{refused}") };
        assert_eq!(failure.refusal(), Some(tollgate::failure::Refusal::NoPermission), "{command}: {refused}");
        assert!(before.changed(&space.dump().await).is_empty(), "{command}");
        space.run(&["ACL", "DELUSER", &user]).await;
    }
}

#[tokio::test]
async fn what_one_job_of_a_batch_does_the_next_one_sees() {
    let mut space = Space::new().await;
    let s = &mut space;
    let codes = CodesName::parse(&"b".repeat(64)).unwrap();
    let upload = s.keys.codes(&codes);
    for n in ["1", "2", "3"] {
        s.run(&["HSET", &upload, n, "code"]).await;
    }
    let batch = [
        (create("c", 3), Code::CampaignCreated),
        (create("c", 3), Code::CampaignExists),
        (redeem("c", "u", 1), Code::Redeemed),
        (redeem("c", "u", 1), Code::Redeemed),
        (redeem("c", "v", 2), Code::CampaignLimitReached),
        (set_limit("c", 1, None), Code::LimitBelowIssued),
        (set_limit("c", 2, Some(3)), Code::LimitSet),
        (redeem("c", "v", 1), Code::CampaignLimitReached),
        (end("c"), Code::CampaignClosedNow),
        (redeem("c", "u", 1), Code::Ended),
        (CampaignCreate { codes: Some(codes), ..terms("k", 3) }.into(), Code::CampaignCreated),
        (set_limit("k", 1, None), Code::LimitSet),
        (set_limit("k", 3, None), Code::LimitSet),
        (set_limit("k", 4, None), Code::LimitAboveCodes),
        (redeem("k", "u", 2), Code::QuantityOutOfRange),
        (withdraw("nobody", 1), Code::AccountNotFound),
        (open("a", 5), Code::AccountOpened),
        (open("a", 5), Code::AccountExists),
        (withdraw("a", 3), Code::Withdrawn),
        (withdraw("a", 3), Code::InsufficientFunds),
        (deposit("a", 1), Code::Deposited),
        (close("a"), Code::AccountNotEmpty),
        (withdraw("a", 3), Code::Withdrawn),
        (close("a"), Code::AccountClosedNow),
        (deposit("a", 1), Code::AccountClosed),
    ];
    let ids: Vec<JobId> = batch.iter().map(|_| JobId::fresh()).collect();
    let jobs: Vec<_> = ids.iter().zip(&batch).map(|(id, (request, _))| (None, id, request)).collect();
    let settlement = s.settle(&jobs).await.unwrap();
    let codes: Vec<Code> = settlement.answers.iter().filter_map(|answer| answer.code()).collect();
    assert_eq!(codes, batch.iter().map(|(_, code)| *code).collect::<Vec<_>>());
    let dump = s.dump().await;
    assert_eq!(dump.hash("campaign:c")["issued"], "2");
    assert_eq!(dump.hash("campaign:c")["status"], "closed");
    assert_eq!(dump.hash("campaign:k")["limit"], "3");
    assert_eq!(dump.hash("campaign:k")["codes_count"], "3");
    assert_eq!(dump.hash("holders:c")["u"], "2");
    assert_eq!(dump.hash("account:a")["available"], "0");
    assert_eq!(dump.hash("account:a")["status"], "closed");
    assert_eq!(dump.stream_len("journal"), 1);
    // The two that stay undecided have no seq.
    assert_eq!(dump.hash("head")["seq"], (batch.len() - 2).to_string());
    // The whole batch again is replayed, but for those that were not decided.
    let again = s.settle(&jobs).await.unwrap();
    for ((first, second), (request, _)) in settlement.answers.iter().zip(&again.answers).zip(&batch) {
        match *first {
            Answer::Decided { code, seq } => {
                assert_eq!(*second, Answer::Replayed { code, seq }, "{request:?}")
            }
            undecided => assert_eq!(*second, undecided),
        }
    }
}

#[tokio::test]
async fn one_id_twice_in_a_batch_is_one_job() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    for twice in [JobId::fresh(), id(&format!("mine-{}", TestRedis::ns()))] {
        let (one, other) = (redeem("c", "u", 1), redeem("c", "v", 1));
        let entries = s.deliver("w", &[job(&twice, one.clone()), job(&twice, one), job(&twice, other)]).await;
        let answers = s.settle_entries(&entries).await.answers;
        let Answer::Decided { code: Code::Redeemed, seq } = answers[0] else { panic!("{answers:?}") };
        assert_eq!(answers[1..], [Answer::Replayed { code: Code::Redeemed, seq }, Answer::Mismatch { seq }]);
    }
    let stats = s.stats().await;
    assert_eq!((stats.head.acked, stats.head.replayed, stats.head.mismatched), (6, 2, 2));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "2");
}

#[tokio::test]
async fn only_what_is_settled_is_acknowledged() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    s.make(create("bad", 9)).await;
    let bad = s.keys.campaign(&"bad".parse().unwrap());
    s.run(&["SET", &bad, "x"]).await;
    let jobs = [
        fresh(redeem("c", "u", 1)),
        fresh(redeem("bad", "u", 1)),
        job(&timed_id(30, 1), redeem("c", "u", 1)),
    ];
    let entries = s.deliver("w", &jobs).await;
    s.settle_entries(&entries).await;
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].in_flight, stats.head.acked), (2, 1));
    // A stream whose oldest entry is pending keeps what lies behind it only.
    assert_eq!(stats.queues[0].length, 3, "nothing is trimmed singly");
    // An entry that is nobody's counts nothing.
    s.settle_entries(&entries[..1]).await;
    assert_eq!(s.stats().await.head.acked, 1);
    // What Redis would choke on after the effect is refused before.
    for entry in ["", "x", "1-", "-1", "1-2-3", "99999999999999999999-0"] {
        let refused = s.settle(&[(Some(entry), &JobId::fresh(), &redeem("c", "u", 1))]).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::RedisRefused), "{entry}");
    }
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
}

#[tokio::test]
async fn windows_are_judged_by_server_time() {
    let mut space = Space::new().await;
    let s = &mut space;
    let at = |ms: u64| Some(Instant::from_ms(ms).unwrap());
    let now = s.now_ms().await;
    for (name, opens, closes, code) in [
        ("open", at(now - 1), at(now + 60_000), Code::Redeemed),
        ("early", at(now + 60_000), None, Code::NotStarted),
        ("late", None, at(now), Code::Ended),
    ] {
        s.make(CampaignCreate { opens_at: opens, closes_at: closes, ..terms(name, 1) }.into()).await;
        assert_eq!(s.make(redeem(name, "u", 1)).await, code, "{name}");
    }
}

#[tokio::test]
async fn a_thousand_jobs_fit_one_call_and_one_more_does_not() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", MAX)).await;
    let jobs: Vec<_> = (0..1000).map(|i| fresh(redeem("c", &format!("u{i}"), MAX / 1000))).collect();
    let entries = s.deliver("w", &jobs).await;
    let settlement = s.settle_entries(&entries).await;
    assert!(settlement.answers.iter().all(|answer| answer.code() == Some(Code::Redeemed)));
    let again = s.settle_entries(&entries).await;
    assert!(again.answers.iter().all(|answer| matches!(answer, Answer::Replayed { .. })));
    let stats = s.stats().await;
    assert_eq!((stats.head.seq, stats.head.acked, stats.queues[0].in_flight), (1001, 1000, 0));
    let (id, request) = (JobId::fresh(), redeem("c", "u", 1));
    assert!(s.settle(&vec![(None, &id, &request); 1001]).await.is_err());
    assert!(s.settle::<Request>(&[]).await.unwrap().answers.is_empty());
}

/// Who asked is part of what the chain covers; a worker's jobs name nobody.
#[tokio::test]
async fn the_journal_keeps_who_asked() {
    let mut space = Space::new().await;
    let s = &mut space;
    let ann = s.tollgate.clone().acting_as(tollgate::ids::Actor::parse("ann").unwrap());
    let answer = ann.settle_one(&mut s.link, &id("one"), &create("c", 9)).await.unwrap();
    assert_eq!(answer.code(), Some(Code::CampaignCreated));
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
    s.settle_entries(&entries).await;
    let entries = tollgate::journal::read(&mut s.link, &s.keys, 0, 9).await.unwrap().unwrap();
    let by: Vec<&str> = entries.iter().map(|entry| entry.by.as_str()).collect();
    assert_eq!(by, ["ann", ""]);
    assert_eq!(entries[0].lines().unwrap()[0].by, "ann");
    let changed = tollgate::journal::Entry { by: "bob".to_owned(), ..entries[0].clone() };
    assert_eq!(entries[0].expected_hash(""), entries[0].hash);
    assert_ne!(changed.expected_hash(""), entries[0].hash);
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    assert_eq!(report.violations, []);
    assert_eq!((report.by[0].by.as_str(), report.by[0].lines), ("ann", 1));
}
