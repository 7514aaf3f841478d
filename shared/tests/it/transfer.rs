//! Transfers: the first kind with two resources. What one account loses the other has, in one step or not at all.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::kinds::{Request, Transfer};
use tollgate::partition::Partitions;
use tollgate::scripts::settle::Answer;
use tollgate::{RETENTION_DEFAULT, Tollgate};

use crate::giving_back::violations;
use crate::harness::{servers, shared};
use crate::races::race;
use crate::space::*;

async fn both(s: &mut Space) -> [String; 2] {
    let dump = s.dump().await;
    ["a", "b"].map(|name| dump.hash(&format!("account:{name}"))["available"].clone())
}

#[tokio::test]
async fn what_one_loses_the_other_has() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    s.make(open("b", 0)).await;
    let (one, request) = (JobId::fresh(), transfer("a", "b", 30));
    assert!(matches!(s.settle_as(&one, &request).await, Answer::Decided { code: Code::Transferred, .. }));
    assert!(matches!(s.settle_as(&one, &request).await, Answer::Replayed { code: Code::Transferred, .. }));
    assert!(matches!(s.settle_as(&one, &transfer("b", "a", 30)).await, Answer::Mismatch { .. }));
    assert_eq!(both(s).await, ["70", "30"]);
    assert_eq!(s.make(transfer("b", "a", 31)).await, Code::InsufficientFunds);
    assert_eq!(s.make(transfer("a", "a", 1)).await, Code::SameAccount);
    // In one batch: there and back, and what was only just received is spent.
    let batch = [transfer("a", "b", 70), transfer("b", "a", 100), transfer("a", "b", 1), withdraw("b", 1)];
    let ids: Vec<JobId> = batch.iter().map(|_| JobId::fresh()).collect();
    let jobs: Vec<_> = ids.iter().zip(&batch).map(|(id, request)| (None, id, request)).collect();
    let answers = s.settle(&jobs).await.unwrap().answers;
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Decided { .. })), "{answers:?}");
    assert_eq!(both(s).await, ["99", "0"]);
    assert_eq!(violations(s).await, [""; 0]);
}

#[tokio::test]
async fn money_that_races_both_ways_is_neither_made_nor_lost() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 50)).await;
    s.make(open("b", 50)).await;
    let ask = |n: usize| if n.is_multiple_of(2) { transfer("a", "b", 7) } else { transfer("b", "a", 3) };
    let answers = race(s, |_| JobId::fresh(), ask).await;
    assert!(answers.iter().any(|answer| answer.code() == Some(Code::Transferred)), "{answers:?}");
    let sum: u64 = both(s).await.iter().map(|text| text.parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 100);
    assert_eq!(violations(s).await, [""; 0]);
}

/// The audit compares both accounts with their last line, whichever half is damaged.
#[tokio::test]
async fn each_half_is_audited() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 50)).await;
    s.make(open("b", 50)).await;
    assert_eq!(s.make(transfer("a", "b", 7)).await, Code::Transferred);
    for (name, is, was) in
        [("a", "50 0 USD open 1", "43 0 USD open 3"), ("b", "50 0 USD open 2", "57 0 USD open 3")]
    {
        let key = s.keys.account(&name.parse().unwrap());
        assert_eq!(s.text(&["GET", &key]).await.as_deref(), Some(was));
        s.run(&["SET", &key, is]).await;
        let found = violations(s).await;
        assert!(found.iter().any(|found| found.starts_with("G2 account:")), "{found:#?}");
        s.run(&["SET", &key, was]).await;
    }
    assert_eq!(violations(s).await, [""; 0]);
}

#[tokio::test]
async fn across_partitions_it_is_refused_by_name_before_anything_is_asked() {
    let partitions = Partitions::new(2).unwrap();
    let tollgate =
        Tollgate::init(shared(), servers::namespace(), partitions, RETENTION_DEFAULT).await.unwrap();
    // See docs/protocol.md: a1 lies in partition 1, and so does one of many others.
    let there = (0..).map(|n| format!("there{n}")).find(|id| {
        tollgate::partition::Partition::of(id, partitions)
            != tollgate::partition::Partition::of("a1", partitions)
    });
    let request = Transfer {
        from: "a1".parse().unwrap(),
        to: there.unwrap().parse().unwrap(),
        amount: tollgate::amount::Amount::from_minor(1).unwrap(),
        currency: "USD".parse().unwrap(),
    };
    let error = tollgate.decide(&JobId::fresh(), &request).await.unwrap_err();
    assert!(error.to_string().contains("withdraw from one, and deposit on the other"), "{error}");
    let mut link = tollgate.server().link().await.unwrap();
    let answer = tollgate.settle_one(&mut link, &JobId::fresh(), &Request::from(request)).await.unwrap();
    assert_eq!(answer, Answer::Undecided(Code::TwoPartitions));
}
