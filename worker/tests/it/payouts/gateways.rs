//! Two gateways: what was sent to one says nothing about the other.

use tollgate::scripts::payout::hold;

use super::*;

impl Payouts {
    /// Why `p1` waits for a person.
    async fn reason(&self) -> String {
        let mut link = self.space.gate.server().link().await.unwrap();
        let id = JobId::parse("p1").unwrap();
        hold(&mut link, self.space.keys(), &id).await.unwrap().unwrap().reason
    }
}

#[tokio::test]
async fn an_unknown_attempt_is_not_tried_at_another_gateway() {
    let redis = redis();
    for (before, after) in [(&[][..], &[][..]), (&["--payout-gateway", "old"], &["--payout-gateway", "new"])]
    {
        let payouts = Payouts::open(&redis, &[Answer::PayAndDrop]).await;
        let other = Bank::open(&[Answer::Pay]).await;
        payouts.withdraw(&["p1"], "a1").await;
        let first = payouts.worker(before, "");
        until("the first attempt", async || (payouts.bank.asked() == 1).then_some(())).await;
        drop(first);
        let args = [&["--payout-url", &other.url], &QUICK[..], after].concat();
        let _next = payouts.space.worker_with(&args, "");
        payouts.until_fate("p1", "needs_review").await;
        assert_eq!(payouts.reason().await, "other_gateway");
        assert_eq!(other.asked(), 0, "it would have paid a second time");
        assert_eq!(payouts.balance().await, (900, 100));
    }
}

#[tokio::test]
async fn one_gateway_may_have_two_addresses() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::PayAndDrop, Answer::Pay]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let name = ["--payout-gateway", "bank"];
    let first = payouts.worker(&name, "");
    until("the first attempt", async || (payouts.bank.asked() == 1).then_some(())).await;
    drop(first);
    let address = payouts.bank.url.replace("127.0.0.1", "localhost");
    let args = [&["--payout-url", &address], &QUICK[..], &name].concat();
    let _next = payouts.space.worker_with(&args, "");
    payouts.until_fate("p1", "paid").await;
    assert_eq!(payouts.bank.payments(), ["p1"]);
}
