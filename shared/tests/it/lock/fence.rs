//! Fences: two holders at once, on purpose, and everything that could make a token repeat.

use tollgate::connect::Server;
use tollgate::lock::{Fence, FenceError, Guarded};

use super::{Fleet, long, name};
use crate::harness::{cmd, servers, shared, until};

fn guarded(server: Server) -> Guarded {
    let ns = servers::namespace();
    Guarded::new(server, &ns, name())
}

#[tokio::test]
async fn under_a_lying_lock_the_older_holder_is_refused() {
    let fleet = Fleet::shared(3);
    let value = guarded(shared());
    let locks = fleet.locks();
    let first_lock = locks.acquire(&name(), &long()).await.unwrap();
    let first = value.mint().await.unwrap();
    assert_eq!(value.read().await.unwrap(), None);
    value.write(&first, b"0").await.unwrap();

    // The nodes forget: a second holder comes in while the first still believes.
    for node in 0..3 {
        let () = fleet.run(node, &["DEL", &fleet.key(&name())]).await;
    }
    let _second_lock = locks.acquire(&name(), &long()).await.unwrap();
    first_lock.lease().check().unwrap();
    let second = value.mint().await.unwrap();
    assert!(second > first);
    let read = value.read().await.unwrap().unwrap();
    // From its mint on, also before its own write.
    let refused = value.write(&first, b"stale").await.unwrap_err();
    assert_eq!(
        (refused.code(), &refused),
        ("fenced", &FenceError::Fenced { name: name(), fence: first.clone() })
    );
    assert_eq!(value.read().await.unwrap().unwrap(), read);
    value.write(&second, b"1").await.unwrap();
    value.write(&second, b"1").await.unwrap();
    assert_eq!(value.write(&first, b"stale").await.unwrap_err().code(), "fenced");
    assert_eq!(value.read().await.unwrap().unwrap(), b"1");
}

#[tokio::test]
async fn read_modify_write_under_fences_alone_loses_no_update() {
    let value = guarded(shared());
    let first = value.mint().await.unwrap();
    value.write(&first, b"0").await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let value = value.clone();
            tokio::spawn(async move {
                loop {
                    let fence = value.mint().await.unwrap();
                    let read = value.read().await.unwrap().unwrap();
                    let count: u32 = std::str::from_utf8(&read).unwrap().parse().unwrap();
                    match value.write(&fence, (count + 1).to_string().as_bytes()).await {
                        Ok(()) => break,
                        Err(FenceError::Fenced { .. }) => tokio::task::yield_now().await,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value.read().await.unwrap().unwrap(), b"16");
}

#[tokio::test]
async fn tokens_rise_across_kill_restart_loss_of_everything_and_a_clock_that_went_back() {
    let mut redis = servers::private(&["--appendfsync", "always"]);
    let value = guarded(servers::open(&redis));
    let mut tokens: Vec<Fence> = Vec::new();
    let mint = async |value: &Guarded| until("a mint", async || value.mint().await.ok()).await;
    for _ in 0..3 {
        tokens.push(mint(&value).await);
    }
    redis.restart().unwrap();
    tokens.push(mint(&value).await);
    let before_loss = tokens[3].clone();
    let () = super::query(&redis.url(), &["FLUSHALL"]).await;
    tokens.push(mint(&value).await);
    assert_eq!(value.write(&before_loss, b"x").await.unwrap_err().code(), "fenced");
    // The stored token is ahead of the clock, as after a clock that went back by an hour.
    let keys: Vec<String> = super::query(&redis.url(), &["KEYS", "*:guarded:*"]).await;
    let ahead = tokens[4].number() + 3_600_000_000;
    let () = super::query(&redis.url(), &["HSET", &keys[0], "fence", &ahead.to_string()]).await;
    tokens.push(mint(&value).await);
    assert!((ahead + 1..=ahead + 65_536).contains(&tokens[5].number()), "a random step");
    tokens.push(mint(&value).await);
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]), "{tokens:?}");
}

#[tokio::test]
async fn tokens_rise_across_the_promotion_of_a_lagging_replica() {
    let port = servers::free_port().to_string();
    let master = servers::private(&["--port", &port, "--bind", "127.0.0.1"]);
    let replica = servers::private(&[]);
    let ns = servers::namespace();
    let old = Guarded::new(servers::open(&master), &ns, name());
    let new = Guarded::new(servers::open(&replica), &ns, name());
    let known = old.mint().await.unwrap();
    old.write(&known, b"replicated").await.unwrap();
    let mut link = servers::open(&replica).link().await.unwrap();
    link.run(&cmd(&["REPLICAOF", "127.0.0.1", &port])).await.unwrap();
    until("the replica to have the value", async || {
        (new.read().await.ok()? == Some(b"replicated".to_vec())).then_some(())
    })
    .await;
    // From here on it lags: it follows nobody that answers.
    link.run(&cmd(&["REPLICAOF", "127.0.0.1", "1"])).await.unwrap();
    let lost = old.mint().await.unwrap();
    old.write(&lost, b"lost").await.unwrap();
    link.run(&cmd(&["REPLICAOF", "NO", "ONE"])).await.unwrap();

    // Its holder goes on at the new master: what it read is not what is there.
    let refused = new.write(&lost, b"from a lost future").await.unwrap_err();
    assert_eq!(refused, FenceError::Unminted { name: name(), fence: lost.clone() });
    let fresh = new.mint().await.unwrap();
    assert!(fresh > lost && lost > known);
    assert_eq!(new.write(&lost, b"stale").await.unwrap_err().code(), "fenced");
    assert_eq!(new.read().await.unwrap().unwrap(), b"replicated");
    new.write(&fresh, b"new").await.unwrap();
}

#[tokio::test]
async fn what_is_no_guarded_value_is_told_and_left_alone() {
    let redis = servers::private(&[]);
    let value = guarded(servers::open(&redis));
    let fence = value.mint().await.unwrap();
    let keys: Vec<String> = super::query(&redis.url(), &["KEYS", "*:guarded:*"]).await;
    for bad in ["", "-1", "1e3", "0x10", "9007199254740992", "nan"] {
        let () = super::query(&redis.url(), &["HSET", &keys[0], "fence", bad]).await;
        assert_eq!(value.mint().await.unwrap_err().code(), "corrupt_state", "{bad:?}");
        assert_eq!(value.write(&fence, b"x").await.unwrap_err().code(), "corrupt_state", "{bad:?}");
    }
    let () = super::query(&redis.url(), &["HSET", &keys[0], "fence", "9007199254740991"]).await;
    assert_eq!(value.mint().await.unwrap_err().code(), "corrupt_state", "no number is left");
    let () = super::query(&redis.url(), &["SET", &keys[0], "something else"]).await;
    assert_eq!(value.mint().await.unwrap_err().code(), "corrupt_state");
    assert_eq!(value.write(&fence, b"x").await.unwrap_err().code(), "corrupt_state");
    assert_eq!(value.read().await.unwrap_err().code(), "corrupt_state");
    let kept: String = super::query(&redis.url(), &["GET", &keys[0]]).await;
    assert_eq!(kept, "something else");
    let large = vec![0; tollgate::lock::GUARDED_BYTES_MAX + 1];
    assert_eq!(value.write(&fence, &large).await.unwrap_err().code(), "value_too_large");
}
