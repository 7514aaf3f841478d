use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_testkit::consul::{Consul as Server, Settings};
use tollgate_testkit::wait::SOON;

use super::*;

/// A server that ends its shortest sessions soon, so that nobody waits for them.
fn server() -> Server {
    Server::start(Settings { shortest_lasts: Duration::from_millis(300), ..Settings::default() })
}

/// A client of it; a TTL below the least one becomes that one.
fn client(server: &Server, ttl_s: u64) -> Consul {
    let address = Address::of_test(server.address());
    Consul {
        http: http_client().unwrap(),
        address,
        ttl: Duration::from_secs(ttl_s),
        session: None,
        held: None,
    }
}

#[tokio::test]
async fn one_at_a_time_has_it_and_each_later_token_is_higher() {
    let server = server();
    let (inside, mut clients) = (Arc::new(AtomicUsize::new(0)), tokio::task::JoinSet::new());
    for _ in 0..8 {
        let (mut lock, inside) = (client(&server, 60), inside.clone());
        clients.spawn(async move {
            let mut tokens = Vec::new();
            for _ in 0..5 {
                lock.take("seat").await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have the lock");
                assert!(lock.is_held());
                tokens.push(lock.token().await.unwrap());
                inside.fetch_sub(1, Ordering::SeqCst);
                lock.release().await.unwrap();
                assert!(!lock.is_held());
            }
            tokens
        });
    }
    let mut all = Vec::new();
    while let Some(tokens) = clients.join_next().await {
        let tokens = tokens.unwrap();
        assert!(tokens.is_sorted(), "{tokens:?}");
        all.extend(tokens);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 8 * 5, "a token was given twice");
    // One session a client, kept over its locks.
    let seen = server.seen();
    assert_eq!((seen.created, seen.acquired, seen.expired), (8, 40, 0));
}

#[tokio::test]
async fn a_holder_that_is_silent_loses_it_after_the_least_ttl_and_the_next_has_a_higher_token() {
    let server = server();
    let (mut silent, mut next) = (client(&server, 1), client(&server, 60));
    silent.take("seat").await.unwrap();
    let token = silent.token().await.unwrap();
    // A TTL of a second was refused: the least one was asked for instead.
    assert_eq!((server.seen().refused, server.seen().created), (1, 1));
    tokio::time::timeout(SOON, next.take("seat")).await.unwrap().unwrap();
    assert_eq!(server.seen().expired, 1);
    assert!(next.token().await.unwrap() > token);
    // It does not know yet; whoever asks finds out, and to give it back is no error.
    let error = silent.token().await.unwrap_err().to_string();
    assert!(error.contains("ended before its token was read"), "{error}");
    silent.release().await.unwrap();
    assert!(next.is_held());
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_session_that_has_ended_is_replaced_and_one_that_is_half_over_is_renewed() {
    let server = server();
    let mut lock = client(&server, 60);
    lock.take("seat").await.unwrap();
    lock.release().await.unwrap();
    // Ended by others, as when its node fails: known by the next acquire.
    server.end_all_sessions();
    lock.take("seat").await.unwrap();
    lock.release().await.unwrap();
    assert_eq!((server.seen().created, server.seen().renewed), (2, 0));
    let half_over = |lock: &mut Consul| {
        let session = lock.session.as_mut().unwrap();
        session.until = Instant::now() + session.ttl / 3;
    };
    half_over(&mut lock);
    lock.take("seat").await.unwrap();
    lock.release().await.unwrap();
    assert_eq!((server.seen().created, server.seen().renewed), (2, 1));
    half_over(&mut lock);
    server.end_all_sessions();
    lock.take("seat").await.unwrap();
    assert_eq!((server.seen().created, server.seen().renewed), (3, 1));
}

#[tokio::test]
async fn what_consul_refuses_is_told_in_its_own_words() {
    let server = Server::start(Settings { ttl_min: Duration::from_secs(90), ..Settings::default() });
    let error = client(&server, 60).take("seat").await.unwrap_err().to_string();
    assert!(error.contains("500") && error.contains("must be between [90s=24h0m0s]"), "{error}");
}
