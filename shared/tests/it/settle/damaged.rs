//! What is damaged, or not allowed: which of it refuses a job, which the whole call, and that neither writes anything.

use tollgate::code::Code;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::ids::JobId;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;

use crate::harness::servers;
use crate::space::*;

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
        let user = format!("{}-{command}", servers::namespace());
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
