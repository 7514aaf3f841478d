//! Two gateways: what was sent to one says nothing about the other.

use tollgate::scripts::payout::{Hold, hold};

use super::*;

impl Payouts {
    /// `p1` as long as it is open.
    async fn hold(&self) -> Hold {
        let mut link = self.space.tollgate.server().link().await.unwrap();
        let id = JobId::parse("p1").unwrap();
        hold(&mut link, self.space.keys(), &id).await.unwrap().unwrap()
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
        assert_eq!(payouts.hold().await.reason, "other_gateway");
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

/// An address at which nobody listens, until somebody does.
fn closed_address() -> String {
    format!("127.0.0.1:{}", tollgate_testkit::servers::free_port())
}

/// A server that takes connections and says nothing.
struct Silent {
    address: String,
    _held: tokio::task::JoinHandle<()>,
}

impl Silent {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let held = tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.push(connection);
            }
        });
        Self { address, _held: held }
    }
}

/// The lines in which the worker says that the gateway cannot be reached.
fn complaints(worker: &Worker) -> usize {
    worker.log().lines().filter(|line| line.contains("cannot be reached")).count()
}

#[tokio::test]
async fn a_refused_connection_burns_no_attempt_under_either_rule() {
    let redis = redis();
    for rule in ["never", "same-key"] {
        let address = closed_address();
        let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
        payouts.withdraw(&["p1", "p2"], "a1").await;
        let url = format!("http://{address}");
        let args = ["--payout-retry", rule, "--payout-pause", "200ms"];
        let args = [&["--payout-url", &url], &QUICK[..], &args].concat();
        let worker = payouts.space.worker_with(&args, "");
        worker.says("cannot be reached").await;
        // It tries again and again, and each begin is taken back.
        until("three attempts", async || {
            let hold = payouts.hold().await;
            let seq = payouts.space.stats().await.head.seq;
            (seq > 10 && hold.state.name() == "held").then_some(hold)
        })
        .await;
        assert_eq!((payouts.hold().await.refused, payouts.balance().await), (0, (800, 200)));
        assert_eq!(complaints(&worker), 1, "said once: {}", worker.log());
        let bank = Bank::open_at(&address, &[Answer::Pay]).await;
        payouts.until_fate("p1", "paid").await;
        payouts.until_fate("p2", "paid").await;
        assert_eq!(bank.payments().len(), 2);
        worker.says("resumed").await;
    }
}

#[tokio::test]
async fn whatever_fails_before_the_first_byte_is_never_sent() {
    let redis = redis();
    let silent = Silent::open().await;
    let plain = Bank::open(&[Answer::Pay]).await;
    for url in [
        "http://no-such-host.invalid".to_owned(),
        // TLS with a server that does not speak it, and with one that says nothing.
        plain.url.replace("http:", "https:"),
        format!("https://{}", silent.address),
    ] {
        let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
        payouts.withdraw(&["p1"], "a1").await;
        let args = [&["--payout-url", &url, "--payout-retry", "never"], &QUICK[..]].concat();
        let worker = payouts.space.worker_with(&args, "");
        worker.says("cannot be reached").await;
        drop(worker);
        until("the begin to be taken back", async || {
            let hold = payouts.hold().await;
            (hold.attempts == 0).then_some(())
        })
        .await;
        // Another gateway may pay it: this one has never heard of it.
        let _other = payouts.worker(&["--payout-retry", "never"], "");
        payouts.until_fate("p1", "paid").await;
        assert_eq!(payouts.bank.payments(), ["p1"], "{url}");
    }
}

#[tokio::test]
async fn a_connection_that_came_about_makes_it_unknown() {
    let redis = redis();
    let silent = Silent::open().await;
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let url = format!("http://{}", silent.address);
    let args = [&["--payout-url", &url, "--payout-retry", "never"], &QUICK[..]].concat();
    let _worker = payouts.space.worker_with(&args, "");
    payouts.until_fate("p1", "needs_review").await;
    assert_eq!(payouts.hold().await.attempts, 1);
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn dying_before_the_begin_is_taken_back_leaves_it_unknown() {
    let redis = redis();
    let address = closed_address();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let url = format!("http://{address}");
    let args = [&["--payout-url", &url, "--payout-gateway", "bank"], &QUICK[..]].concat();
    let mut doomed = payouts.space.worker_with(&args, "after_pay:abort:id=p1");
    assert_eq!(doomed.ended().await.code(), None);
    assert_eq!(payouts.hold().await.attempts, 1);
    let bank = Bank::open_at(&address, &[Answer::Pay]).await;
    let _next = payouts.space.worker_with(&args, "");
    payouts.until_fate("p1", "paid").await;
    assert_eq!(bank.payments(), ["p1"]);
}

#[tokio::test]
async fn a_rotated_token_is_read_again_when_refused_and_on_sighup() {
    let redis = redis();
    for by_signal in [false, true] {
        let refused = Answer::Say(401, r#"{"error":"unauthorized"}"#);
        let payouts = Payouts::open(&redis, &[refused, refused, Answer::Pay]).await;
        payouts.open_account("a2").await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let path = file.path().to_str().unwrap();
        // Only a changed token ends an hour's pause.
        let pause = if by_signal { "1h" } else { "300ms" };
        let args = ["--payout-token-file", path, "--payout-pause", pause, "--listen", "0"];
        let worker = payouts.worker(&args, "");
        payouts.withdraw(&["p1"], "a1").await;
        worker.says("credentials are wrong").await;
        assert!(worker.page("/readyz").await.0.contains("503"), "a worker that cannot pay is not ready");
        std::fs::write(file.path(), "new\n").unwrap();
        if by_signal {
            worker.signal(rustix::process::Signal::HUP);
        }
        worker.says("they are used from now on").await;
        until("the new token", async || {
            (payouts.bank.token().as_deref() == Some("Bearer new")).then_some(())
        })
        .await;
        if !by_signal {
            payouts.until_fate("p1", "paid").await;
            worker.says("resumed").await;
            until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
        }
        for secret in ["old", "new"] {
            assert!(!worker.log().contains(&format!("Bearer {secret}")));
        }
    }
}
