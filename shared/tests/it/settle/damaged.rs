//! What is damaged, or not allowed: which of it refuses a job, which the whole call, and that neither writes anything.

use tollgate::code::Code;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::ids::JobId;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;

use super::MAX;
use crate::harness::servers;
use crate::space::*;

const BAD_NUMBERS: [&str; 12] =
    ["", " ", "-1", "1.5", "1e3", "0x10", "nan", "inf", " 1", "+1", "9007199254740992", "99999999999999999"];

type Words = Vec<String>;

fn words(words: &[&str]) -> Words {
    words.iter().map(ToString::to_string).collect()
}

/// What can be wrong with the keys of one campaign and one account.
fn damages_of_resources(campaign: &str, account: &str, holders: &str) -> Vec<Words> {
    const CAMPAIGN: [&str; 4] = ["limit", "issued", "codes_count", "seq"];
    const BOUNDS: [&str; 3] = ["per_customer", "opens_at_ms", "closes_at_ms"]; // '' is none
    const ACCOUNT: [&str; 3] = ["available", "held", "seq"];
    let mut damages = Vec::new();
    for bad in BAD_NUMBERS {
        let bounds = BOUNDS.iter().filter(|_| !bad.is_empty());
        damages.extend(CAMPAIGN.iter().chain(bounds).map(|field| words(&["HSET", campaign, field, bad])));
        damages.extend(ACCOUNT.iter().map(|field| words(&["HSET", account, field, bad])));
        damages.push(words(&["HSET", holders, "u", bad]));
    }
    let fields = CAMPAIGN.iter().chain(&BOUNDS).chain(&["status", "codes"]);
    damages.extend(fields.map(|field| words(&["HDEL", campaign, field])));
    let fields = ACCOUNT.iter().chain(&["currency", "status"]);
    damages.extend(fields.map(|field| words(&["HDEL", account, field])));
    damages.extend([
        words(&["HSET", campaign, "status", "maybe"]),
        words(&["HSET", account, "status", ""]),
        words(&["HSET", account, "available", "9007199254740991", "held", "1"]),
        words(&["HSET", campaign, "issued", "10"]),
        words(&["HSET", holders, "u", "2"]),
        words(&["DEL", campaign]),
        words(&["DEL", account]),
    ]);
    damages.extend([campaign, account, holders].map(|key| words(&["SET", key, "a string"])));
    damages
}

#[tokio::test]
async fn a_damaged_resource_is_left_alone_and_spares_the_others() {
    let mut space = Space::new().await;
    let s = &mut space;
    for request in [create("bad", 9), create("good", MAX), open("bad", 9), open("good", 9)] {
        s.make(request).await;
    }
    s.make(redeem("bad", "u", 1)).await;
    let tag = s.keys.head().trim_end_matches("head").to_owned();
    let key = |name: &str| format!("{tag}{name}");
    let (campaign, account) = (key("campaign:bad"), key("account:bad"));
    for damage in damages_of_resources(&campaign, &account, &key("holders:bad")) {
        let damage: Vec<&str> = damage.iter().map(String::as_str).collect();
        let mut kept = Vec::new();
        for key in [campaign.clone(), account.clone(), key("holders:bad")] {
            kept.push((key.clone(), s.run(&["DUMP", &key]).await));
        }
        s.run(&damage).await;
        spares_the_others(s, &damage, damage[1] == account).await;
        for (key, dump) in kept {
            let redis::Value::BulkString(bytes) = dump else { panic!("{dump:?}") };
            let mut restore = redis::Cmd::new();
            restore.arg("RESTORE").arg(&key).arg(0).arg(bytes).arg("REPLACE");
            s.link.run(&restore).await.unwrap();
        }
    }
}

/// Settles one job of each resource: those of the damaged one stay undecided, the others are decided.
async fn spares_the_others(s: &mut Space, damage: &[&str], is_account: bool) {
    let before = s.dump().await;
    let ids: Vec<JobId> = (0..4).map(|_| JobId::fresh()).collect();
    let requests = [redeem("bad", "u", 1), redeem("good", "u", 1), withdraw("bad", 1), deposit("good", 1)];
    let jobs: Vec<_> = ids.iter().zip(&requests).map(|(id, request)| (None, id, request)).collect();
    let answers = s.settle(&jobs).await.unwrap().answers;
    let (damaged, sound) = if is_account { (2, 0) } else { (0, 2) };
    assert_eq!(answers[damaged], Answer::Undecided(Code::CorruptState), "{damage:?}");
    assert!(matches!(answers[sound], Answer::Decided { .. }), "{damage:?}: {answers:?}");
    let others = [answers[1].code(), answers[3].code()];
    assert_eq!(others, [Some(Code::Redeemed), Some(Code::Deposited)], "{damage:?}");
    let name = damage[1].rsplit_once("}:").unwrap().1;
    assert_eq!(before.0.get(name), s.dump().await.0.get(name), "{damage:?}");
}

/// What can be wrong with the keys that every call reads, and the code that says so; keys are named without their tag.
fn damages_of_a_partition() -> Vec<(Words, Code)> {
    const NUMBERS: [&str; 8] =
        ["receipts_floor", "floor_highest", "seq", "acked", "replayed", "mismatched", "expired", "overtaken"];
    let mut damages = vec![
        words(&["HDEL", "head", "format"]),
        words(&["HDEL", "head", "hash"]),
        words(&["HSET", "head", "format", "1"]),
        words(&["DEL", "journal"]),
        words(&["XADD", "journal", "9-0", "foreign", "entry"]),
        words(&["DEL", "in_flight:default"]), // and the head counts a row
        words(&["SET", "in_flight:default", "a string"]),
        words(&["HSET", "in_flight:default", "0-0", "no row"]),
    ];
    for field in NUMBERS {
        damages.push(words(&["HDEL", "head", field]));
        damages.extend(BAD_NUMBERS.map(|bad| words(&["HSET", "head", field, bad])));
    }
    let keys = ["head", "journal", "parked", "receipts:kept", "queue:default"];
    damages.extend(keys.map(|key| words(&["SET", key, "a string"])));
    let mut damages: Vec<_> = damages.into_iter().map(|words| (words, Code::CorruptPartition)).collect();
    damages.push((words(&["DEL", "head"]), Code::Uninitialised));
    damages.push((words(&["HDEL", "head", "frozen"]), Code::PartitionFrozen));
    damages.push((words(&["HSET", "head", "frozen", "timeline_regressed"]), Code::PartitionFrozen));
    damages
}

#[tokio::test]
async fn a_damaged_partition_refuses_the_whole_call_before_any_write() {
    for (damage, code) in damages_of_a_partition() {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 9)).await;
        let entries = s.deliver("w", &[job(&id("mine"), redeem("c", "u", 1))]).await;
        run_on(s, &damage).await;
        let (entry, job) = &entries[0];
        refuses(s, (Some(entry), &job.id, &job.request), code).await;
    }
}

/// The indexes of parked jobs count only where there are any.
#[tokio::test]
async fn a_damaged_index_refuses_where_something_is_parked() {
    for key in ["scheduled", "dead"] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 9)).await;
        run_on(s, &words(&["SET", key, "a string"])).await;
        assert_eq!(s.make(redeem("c", "u", 1)).await, Code::Redeemed);
        run_on(s, &words(&["HSET", "parked", "x", "y"])).await;
        refuses(s, (None, &id("mine"), &redeem("c", "u", 1)), Code::CorruptPartition).await;
    }
}

/// Runs a command on the key that its second word names.
async fn run_on(s: &mut Space, damage: &Words) {
    let mut damage = damage.clone();
    damage[1] = format!("{}{}", s.keys.head().trim_end_matches("head"), damage[1]);
    s.run(&damage.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

async fn refuses<R: tollgate::kinds::Settle>(s: &mut Space, job: (Option<&str>, &JobId, &R), code: Code) {
    let before = s.dump().await;
    let refused = s.settle(&[job]).await.unwrap_err();
    assert_eq!(refused.code(), Some(code), "{refused}");
    assert!(before.changed(&s.dump().await).is_empty(), "{refused}");
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
