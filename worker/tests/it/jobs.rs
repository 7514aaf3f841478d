//! What becomes of jobs when nothing is wrong but the jobs.

use tollgate::ids::{AccountId, JobId, QueueName};
use tollgate::job::Job;
use tollgate::kinds::{AccountOpen, Withdraw};
use tollgate::parked::Row;
use tollgate::scripts::dead;

use tollgate::scripts::recover::{Company, Recovery, recover};

use crate::harness::{Space, redeem, redemptions, shared, until};

#[tokio::test]
async fn every_job_is_settled_once_and_a_duplicate_is_replayed() {
    let space = Space::on(shared()).await;
    let jobs = redemptions("j", 3_000);
    space.enqueue(&jobs).await;
    space.enqueue(&jobs[..100]).await;
    let mut worker = space.worker(&[]);
    let stats = space.drained().await;
    assert_eq!(space.issued().await, 3_000);
    assert_eq!((stats.head.replayed, stats.head.seq), (100, 3_001), "seq: the campaign, and each job");

    space.enqueue(&[redeem("j1", "someone else")]).await;
    worker.says(r#"field="customer""#).await;
    assert_eq!(space.drained().await.head.mismatched, 1);
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test]
async fn poison_is_kept_in_dead_with_its_reason_and_the_others_go_on() {
    let space = Space::on(shared()).await;
    let poison: &[(&str, &[u8], &str)] = &[
        ("", br#"{"id":"half","kind":"redeem""#, "malformed_json"),
        ("", b"\xff\x00 no text", "malformed_json"),
        ("", br#"[1]"#, "malformed_json"),
        ("", br#"{"kind":"redeem","campaign":"summer","customer":"c"}"#, "missing_field"),
        ("none", br#"{"id":"none","kind":"gamble"}"#, "unknown_kind"),
        ("", br#"{"id":"twice","id":"twice","kind":"redeem"}"#, "repeated_field"),
        (
            "more",
            br#"{"id":"more","kind":"redeem","campaign":"summer","customer":"c","x":1}"#,
            "unknown_field",
        ),
        ("zero", br#"{"id":"zero","kind":"withdraw","account":"a","amount":0}"#, "amount_zero"),
        ("minus", br#"{"id":"minus","kind":"withdraw","account":"a","amount":-1}"#, "amount_negative"),
        (
            "huge",
            br#"{"id":"huge","kind":"withdraw","account":"a","amount":9007199254740992}"#,
            "amount_out_of_range",
        ),
        ("money", br#"{"id":"money","kind":"deposit","account":"a","amount":5}"#, "kind_not_queueable"),
        ("", br#"{"id":"create/x","kind":"redeem","campaign":"summer","customer":"c"}"#, "id_reserved"),
    ];
    for (good, (_, bytes, _)) in redemptions("good", poison.len()).into_iter().zip(poison) {
        space.enqueue(&[good]).await;
        space.add("job", bytes).await;
    }
    space.add("data", br#"{"id":"elsewhere"}"#).await;
    let _worker = space.worker(&["--batch", "5"]);

    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.dead), (poison.len() as u64, poison.len() as u64 + 1));
    // The sender finds it under its id; where not even that can be read, the entry's own id stands for it.
    for (id, _, reason) in poison.iter().filter(|(id, ..)| !id.is_empty()) {
        assert_eq!(space.fate(id).await, format!("dead:{reason}"), "{id}");
    }
    let redis::Value::Array(rows) = space.cmd(&["HVALS", &space.keys().parked()]).await else { panic!() };
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| match row {
            redis::Value::BulkString(row) => Row::parse(&row).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    let elsewhere: (&[u8], &str) = (br#"no field "job": data {"id":"elsewhere"}"#, "malformed_json");
    for (bytes, reason) in poison.iter().map(|(_, bytes, reason)| (*bytes, *reason)).chain([elsewhere]) {
        let kept = rows.iter().find(|row| row.envelope == bytes);
        let kept = kept.unwrap_or_else(|| panic!("not kept: {}", String::from_utf8_lossy(bytes)));
        assert_eq!(kept.code().unwrap().name(), reason, "{}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn a_job_in_the_stream_of_another_partition_is_not_executed() {
    let space = Space::with_partitions(shared(), 2).await;
    let here = space.keys().queue(&QueueName::default());
    let other = space.tollgate.partitions().iter().map(|partition| space.tollgate.keys(partition));
    let other = other.into_iter().find(|keys| keys.queue(&QueueName::default()) != here).unwrap();
    let astray = redeem("astray", "c1").encode();
    space.cmd(&["XADD", &other.queue(&QueueName::default()), "*", "job", &astray]).await;
    space.enqueue(&[redeem("right", "c1")]).await;
    let _worker = space.worker(&[]);
    until("the stray job in dead", async || {
        (space.fate_in(other, "astray").await == "dead:wrong_partition").then_some(())
    })
    .await;
    space.drained().await;
    assert_eq!((space.issued().await, space.fate("right").await.as_str()), (1, "redeemed"));
}

#[tokio::test]
async fn a_damaged_account_spares_the_others_and_its_job_can_be_retried_after_the_repair() {
    let space = Space::on(shared()).await;
    for name in ["broken", "sound"] {
        let account = AccountId::parse(name).unwrap();
        let (id, balance) = (JobId::create_account(&account), "1000".parse().unwrap());
        let balance = tollgate::amount::Amount::from_minor(balance).unwrap();
        space.settle(&id, &AccountOpen { account, balance, currency: "USD".parse().unwrap() }).await;
    }
    let key = space.keys().account(&AccountId::parse("broken").unwrap());
    let aside = key.replace("account:", "aside:");
    space.cmd(&["RENAME", &key, &aside]).await;
    space.cmd(&["SET", &key, "oops"]).await;
    let withdraw = |id: &str, account: &str| Job {
        id: JobId::parse(id).unwrap(),
        at: None,
        request: Withdraw {
            account: AccountId::parse(account).unwrap(),
            amount: tollgate::amount::Amount::from_minor(10).unwrap(),
            currency: "USD".parse().unwrap(),
        }
        .into(),
    };
    space.enqueue(&[withdraw("w1", "sound"), withdraw("w2", "broken"), withdraw("w3", "sound")]).await;
    let _worker = space.worker(&[]);
    let stats = space.emptied().await;
    assert_eq!(stats.dead, 1);
    for (id, fate) in [("w1", "withdrawn"), ("w2", "dead:corrupt_state"), ("w3", "withdrawn")] {
        assert_eq!(space.fate(id).await, fate, "{id}");
    }

    space.cmd(&["RENAME", &aside, &key]).await;
    let mut link = space.tollgate.server().link().await.unwrap();
    let (queues, ids) = ([QueueName::default()], [JobId::parse("w2").unwrap()]);
    let retried = dead::retry(&mut link, space.keys(), &queues, &ids).await.unwrap();
    assert_eq!(retried, [dead::DeadResult::Requeued]);
    until("the retried job", async || (space.fate("w2").await == "withdrawn").then_some(())).await;
    assert_eq!(space.drained().await.dead, 0);
}

#[tokio::test]
async fn entries_taken_away_while_they_are_in_hand_are_settled_once() {
    let space = Space::on(shared()).await;
    let _worker = space.worker(&["--batch", "50"]);
    // A thief takes over whatever is in flight, whenever it looks; after half a second it has held it for too long.
    let (mut sent, mut stolen) = (0, 0);
    let mut link = space.tollgate.server().link().await.unwrap();
    until("enough thefts", async || {
        space.enqueue(&redemptions(&format!("j{sent}-"), 300)).await;
        sent += 300;
        let (keys, queue) = (space.keys(), QueueName::default());
        let recovery = Recovery::Others(std::time::Duration::ZERO);
        let found = recover(&mut link, keys, &queue, "thief", recovery, Company::Others, &[]).await.unwrap();
        stolen += found.rows.iter().filter(|row| row.was_taken_over).map(|row| row.count).sum::<u64>();
        (stolen > 200).then_some(())
    })
    .await;
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.head.seq), (sent, sent + 1));
}
