//! Payouts that wait: behind a slow account, behind damage, for a hold's end. Nobody else waits with them.

use super::*;

impl Payouts {
    /// Holds payouts of one minor unit, `<account>-<n>` by name, and leaves them to whoever pays.
    async fn crowd(&self, accounts: &[&str], each: usize) {
        let mut jobs = Vec::new();
        for account in accounts {
            self.open_account(account).await;
            jobs.extend((0..each).map(|n| {
                Job {
                    id: JobId::parse(format!("{account}-{n}")).unwrap(),
                    at: None,
                    request: Payout {
                        account: account.parse().unwrap(),
                        amount: Amount::from_minor(1).unwrap(),
                        currency: "USD".parse().unwrap(),
                        destination: "iban".parse().unwrap(),
                    }
                    .into(),
                }
            }));
        }
        self.space.enqueue(&jobs).await;
        let holder = self.space.worker(&[]);
        let all = redis::Value::Int(jobs.len().try_into().unwrap());
        until("the holds", async || {
            (self.space.cmd(&["ZCARD", &self.space.keys().payouts()]).await == all).then_some(())
        })
        .await;
        drop(holder);
    }
}

#[tokio::test]
async fn a_slow_account_with_many_due_blocks_no_other() {
    let redis = redis();
    // The first payment takes half a minute: it is of the crowd, since that was there before.
    let payouts = Payouts::open(&redis, &[Answer::PayLate(Duration::from_secs(60)), Answer::Pay]).await;
    payouts.crowd(&["slow"], 700).await;
    let args = ["--payout-timeout", "50s", "-c", "2"];
    let _worker = payouts.worker(&args, "");
    until("the slow one", async || (payouts.bank.asked() == 1).then_some(())).await;
    payouts.withdraw(&["p1", "p2"], "a1").await;
    payouts.until_fate("p1", "paid").await;
    payouts.until_fate("p2", "paid").await;
    assert_eq!(payouts.bank.at_once_max(), 2);
}

#[tokio::test]
async fn an_account_whose_lock_is_taken_blocks_no_other() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    payouts.crowd(&["taken"], 700).await;
    let lock = format!("{}:lock:payouts:taken", payouts.space.tollgate.namespace());
    payouts.space.cmd(&["SET", &lock, "somebody", "PX", "600000"]).await;
    let _worker = payouts.worker(&[], "");
    payouts.withdraw(&["p1"], "a1").await;
    payouts.until_fate("p1", "paid").await;
    assert_eq!(payouts.bank.payments(), ["p1"]);
}

/// How many commands the server has executed.
async fn commands(space: &Space) -> u64 {
    let info = String::from_utf8(space.bytes(&["INFO", "stats"]).await).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn damaged_holds_are_said_once_and_block_nobody() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    let accounts: Vec<String> = (0..52).map(|n| format!("d{n}")).collect();
    payouts.crowd(&accounts.iter().map(String::as_str).collect::<Vec<_>>(), 10).await;
    let (keys, space) = (payouts.space.keys(), &payouts.space);
    for (n, account) in (0..10).flat_map(|n| accounts.iter().map(move |account| (n, account))) {
        let key = keys.hold(&JobId::parse(format!("{account}-{n}")).unwrap());
        match n % 4 {
            0 => space.cmd(&["HSET", &key, "state", "dancing"]).await,
            1 => space.cmd(&["HSET", &key, "amount", "1e3"]).await,
            2 => space.cmd(&["DEL", &key]).await,
            _ => {
                space.cmd(&["DEL", &key]).await;
                space.cmd(&["SET", &key, "text"]).await
            }
        };
    }
    space.cmd(&["ZADD", &keys.payouts(), "0", "no payout at all"]).await;
    let worker = payouts.worker(&["--listen", "0", "-c", "50"], "");
    worker.says("waits for a repair").await;
    payouts.withdraw(&["p1"], "a1").await;
    payouts.until_fate("p1", "paid").await;
    until("all of them to be met", async || {
        worker.page("/readyz").await.1.contains("so do 520 others").then_some(())
    })
    .await;
    assert!(worker.page("/readyz").await.0.contains("200"), "the others go on");
    let said = worker.log().lines().filter(|line| line.contains("waits for a repair")).count();
    assert_eq!(said, 1, "{}", worker.log());
}

#[tokio::test]
async fn one_damaged_hold_costs_next_to_nothing_and_goes_on_when_it_is_repaired() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    payouts.crowd(&["damaged"], 1).await;
    let key = payouts.space.keys().hold(&JobId::parse("damaged-0").unwrap());
    payouts.space.cmd(&["HSET", &key, "amount", "x"]).await;
    let worker = payouts.worker(&[], "");
    worker.says("waits for a repair").await;
    // Reading it again and again would be some hundred commands a second, a look at the list is fifty.
    let reads = async || {
        let info = payouts.space.bytes(&["INFO", "commandstats"]).await;
        let info = String::from_utf8(info).unwrap();
        let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_hmget:calls=")).unwrap();
        calls.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let (before, begun) = (reads().await, commands(&payouts.space).await);
    until("some hundred looks", async || (commands(&payouts.space).await > begun + 500).then_some(())).await;
    let read = reads().await - before;
    assert!(read < 50, "the hold was read {read} times");
    // Repaired, it goes on by itself.
    payouts.space.cmd(&["HSET", &key, "amount", "1"]).await;
    payouts.until_fate("damaged-0", "paid").await;
    worker.says("resumed").await;
}

#[tokio::test]
async fn a_holds_time_is_kept_without_a_gateway_and_while_it_turns_us_away() {
    let redis = redis();
    for with_gateway in [false, true] {
        let payouts = Payouts::open(&redis, &[Answer::Say(401, "")]).await;
        payouts.open_account("first").await;
        let ttl = ["--hold-ttl", "1s", "--payout-pause", "1h", "-c", "1"];
        let worker = match with_gateway {
            true => payouts.worker(&ttl, ""),
            false => payouts.space.worker(&["--hold-ttl", "1s"]),
        };
        if with_gateway {
            payouts.withdraw(&["burnt"], "first").await;
            worker.says("credentials are wrong").await;
        }
        payouts.withdraw(&["p1", "p2"], "a1").await;
        payouts.until_fate("p1", "payout_voided").await;
        payouts.until_fate("p2", "payout_voided").await;
        assert_eq!(payouts.balance().await, (1_000, 0));
        assert_eq!(payouts.bank.asked(), usize::from(with_gateway));
        // What has begun may have been paid, whatever the time.
        if with_gateway {
            assert_eq!(payouts.space.fate("burnt").await, "paying");
        }
    }
}
