//! Many clients at once, each on its own connection: one effect per id (G3, G4, G6), never past a limit (G1).

use std::collections::BTreeMap;

use tollgate::code::Code;
use tollgate::connect::Server;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::JobId;
use tollgate::kinds::Request;
use tollgate::scripts::settle::{Answer, Item, settle};

use crate::space::*;

pub(crate) const CLIENTS: usize = 64;

/// Has 64 clients settle one job each, all at once; `request` chooses what the n-th of them asks for.
pub(crate) async fn race(
    s: &Space,
    id: impl Fn(usize) -> JobId,
    request: impl Fn(usize) -> Request,
) -> Vec<Answer> {
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            // A pool of its own for each: one pool has fewer connections than there are clients.
            let server = Server::open(s.server.endpoint().clone());
            let (keys, queue) = (s.keys.clone(), s.queue.clone());
            let (start, id, request) = (start.clone(), id(n), request(n));
            tokio::spawn(async move {
                let mut link = server.link().await.unwrap();
                start.wait().await;
                let fingerprint = Fingerprint::of(&request);
                let item = Item { entry: None, id: &id, request: &request, fingerprint };
                settle(&mut link, &keys, &queue, &[item]).await.unwrap().answers[0]
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(CLIENTS);
    for client in clients {
        answers.push(client.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn racing_sends_of_one_id_have_one_effect_and_one_answer() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 1000)).await;
    for round in 0..8 {
        let one = if round % 2 == 0 { JobId::fresh() } else { id(&format!("mine-{round}")) };
        let body = |n: usize| redeem("c", ["u", "v"][n % 2], 1);
        let answers = race(s, |_| one.clone(), body).await;
        let winners: Vec<usize> =
            (0..CLIENTS).filter(|n| matches!(answers[*n], Answer::Decided { .. })).collect();
        let [winner] = winners[..] else { panic!("{winners:?} all executed") };
        let Answer::Decided { code: Code::Redeemed, seq } = answers[winner] else { panic!() };
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != winner) {
            let expected = match n % 2 == winner % 2 {
                true => Answer::Replayed { code: Code::Redeemed, seq },
                false => Answer::Mismatch { seq },
            };
            assert_eq!(*answer, expected);
        }
        assert_eq!(s.dump().await.hash("campaign:c")["issued"], (round + 1).to_string());
    }
    let stats = s.stats().await;
    assert_eq!((stats.head.replayed, stats.head.mismatched), (8 * 31, 8 * 32));
}

#[tokio::test]
async fn a_campaign_issues_its_limit_and_not_one_more() {
    let mut space = Space::new().await;
    let s = &mut space;
    for limit in [1, 3, 100] {
        let name = format!("c{limit}");
        s.make(create(&name, limit)).await;
        let mut codes: BTreeMap<Code, u64> = BTreeMap::new();
        // 128 jobs for each, so that also the hundred run out.
        for _ in 0..2 {
            let answers = race(s, |_| JobId::fresh(), |n| redeem(&name, &format!("u{n}"), 1)).await;
            answers.iter().for_each(|answer| *codes.entry(answer.code().unwrap()).or_default() += 1);
        }
        let expected = BTreeMap::from([(Code::Redeemed, limit), (Code::CampaignLimitReached, 128 - limit)]);
        assert_eq!(codes, expected);
        let dump = s.dump().await;
        assert_eq!(dump.hash(&format!("campaign:{name}"))["issued"], limit.to_string());
        let held: u64 =
            dump.hash(&format!("holders:{name}")).values().map(|n| n.parse::<u64>().unwrap()).sum();
        assert_eq!(held, limit);
    }
}

#[tokio::test]
async fn one_balance_is_spent_once_by_all() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 100)).await;
    let answers = race(s, |_| JobId::fresh(), |_| withdraw("a", 7)).await;
    let withdrawn = answers.iter().filter(|answer| answer.code() == Some(Code::Withdrawn)).count();
    assert_eq!(withdrawn, 14);
    assert_eq!(s.dump().await.hash("account:a")["available"], "2");
}

#[tokio::test]
async fn one_customer_gets_their_share_whoever_asks() {
    let mut space = Space::new().await;
    let s = &mut space;
    let mut bounded = terms("c", 1000);
    bounded.per_customer = tollgate::quantity::Quantity::new(3);
    s.make(bounded.into()).await;
    let answers = race(s, |_| JobId::fresh(), |n| redeem("c", ["u", "v"][n % 2], 2)).await;
    let redeemed = answers.iter().filter(|answer| answer.code() == Some(Code::Redeemed)).count();
    assert_eq!(redeemed, 2, "two coupons for each of the two: four would be more than three");
    let refused = answers.iter().filter(|answer| answer.code() == Some(Code::CustomerLimitReached)).count();
    assert_eq!(refused, CLIENTS - 2);
}
