//! Links against servers that stall, die, or answer too late.

use std::time::{Duration, Instant};

use redis::Value;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::failure::{Failure, Refusal};

use crate::harness::{SOON, cmd, servers, until};

async fn client_id(link: &mut tollgate::link::Link) -> i64 {
    link.query(&cmd(&["CLIENT", "ID"])).await.unwrap()
}

#[tokio::test]
async fn an_error_in_a_pipeline_does_not_lose_the_other_replies() {
    let mut link = crate::harness::link().await;
    let key = servers::namespace().to_string();
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg(&key).arg("v").cmd("INCR").arg(&key).cmd("GET").arg(&key);
    pipeline.cmd("EVALSHA").arg("0".repeat(40)).arg(0);
    let replies = link.run_pipeline(&pipeline).await.unwrap();
    assert_eq!(replies.len(), 4);
    assert_eq!(replies[0], Ok(Value::Okay));
    assert!(matches!(&replies[1], Err(Failure::Server { code, .. }) if code == "ERR"), "{replies:?}");
    assert_eq!(replies[2], Ok(Value::BulkString(b"v".to_vec())));
    assert!(replies[3].as_ref().unwrap_err().is_no_script());
    let before = client_id(&mut link).await;
    assert_eq!(before, client_id(&mut link).await, "errors of commands leave the connection in place");
}

#[tokio::test]
async fn a_transaction_is_executed_as_a_whole_or_not_at_all() {
    let redis = servers::private(&[]);
    let mut link = servers::open(&redis).link().await.unwrap();
    let done =
        link.run_transaction(&[cmd(&["SET", "k", "v"]), cmd(&["INCR", "k"]), cmd(&["GET", "k"])]).await;
    let done = done.unwrap();
    assert_eq!((&done[0], &done[2]), (&Ok(Value::Okay), &Ok(Value::BulkString(b"v".to_vec()))));
    assert!(matches!(&done[1], Err(Failure::Server { code, .. }) if code == "ERR"), "{done:?}");
    let before = client_id(&mut link).await;
    // What Redis refuses to queue: nothing is executed, and that is certain.
    let refused = link.run_transaction(&[cmd(&["SET", "k", "other"]), cmd(&["GET"])]).await.unwrap_err();
    assert!(!refused.may_have_happened(), "{refused}");
    link.run(&cmd(&["CONFIG", "SET", "maxmemory", "1"])).await.unwrap();
    let refused = link.run_transaction(&[cmd(&["GET", "k"]), cmd(&["SET", "k", "other"])]).await.unwrap_err();
    assert!(refused.is_oom() && !refused.may_have_happened(), "{refused}");
    link.run(&cmd(&["CONFIG", "SET", "maxmemory", "0"])).await.unwrap();
    let kept: String = link.query(&cmd(&["GET", "k"])).await.unwrap();
    assert_eq!(
        (kept.as_str(), client_id(&mut link).await),
        ("v", before),
        "refusals leave the connection in place"
    );
    // One that is given up midway may have happened, and its connection is never seen again.
    redis.pause();
    let commands = [cmd(&["SET", "k", "late"]), cmd(&["GET", "k"])];
    let cut = tokio::time::timeout(Duration::from_millis(30), link.run_transaction(&commands)).await;
    assert!(cut.is_err(), "the call was to be cut off midway");
    redis.resume();
    let echo: String = link.query(&cmd(&["ECHO", "mine"])).await.unwrap();
    assert_eq!(echo, "mine");
    assert_ne!(client_id(&mut link).await, before);
}

#[tokio::test]
async fn a_cancelled_call_does_not_leak_its_reply() {
    let redis = servers::private(&[]);
    let server = servers::open(&redis);
    let mut link = server.link().await.unwrap();
    link.run(&cmd(&["SET", "k", "late"])).await.unwrap();
    let before = client_id(&mut link).await;
    for _ in 0..5 {
        redis.pause();
        let get = cmd(&["GET", "k"]);
        let cut = tokio::time::timeout(Duration::from_millis(30), link.run(&get)).await;
        assert!(cut.is_err(), "the call was to be cut off midway");
        redis.resume();
        let echo: String = link.query(&cmd(&["ECHO", "mine"])).await.unwrap();
        assert_eq!(echo, "mine");
    }
    assert_ne!(client_id(&mut link).await, before, "the connection was replaced");
}

#[tokio::test]
async fn a_cancelled_links_connection_does_not_return_to_the_pool() {
    let redis = servers::private(&[]);
    let server = servers::open(&redis);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut link = server.link().await.unwrap();
        seen.push(client_id(&mut link).await);
        redis.pause();
        let cut = tokio::time::timeout(Duration::from_millis(20), link.run(&cmd(&["PING"]))).await;
        assert!(cut.is_err());
        redis.resume();
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
    drop(server.link().await.unwrap());
    let mut link = server.link().await.unwrap();
    let id = client_id(&mut link).await;
    drop(link);
    assert_eq!(id, client_id(&mut server.link().await.unwrap()).await, "a healthy one does return");
}

#[tokio::test]
async fn a_poisoned_link_opens_another_connection() {
    let mut link = crate::harness::link().await;
    let before = client_id(&mut link).await;
    link.poison();
    assert_ne!(client_id(&mut link).await, before);
}

#[tokio::test]
async fn a_half_open_server_is_noticed_within_the_response_timeout_and_heals() {
    let redis = servers::private(&[]);
    let timeout = Duration::from_millis(300);
    let server = servers::open_at(&redis.url(), Some(timeout));
    let mut link = server.link().await.unwrap();
    link.run(&cmd(&["SET", "k", "v"])).await.unwrap();
    redis.pause();
    let begun = Instant::now();
    let failure = link.run(&cmd(&["GET", "k"])).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown { .. }), "{failure}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // Now there is no connection: what is refused while connecting was certainly not applied.
    let begun = Instant::now();
    let failure = link.run(&cmd(&["GET", "k"])).await.unwrap_err();
    assert!(failure.is_unreachable() && !failure.may_have_happened(), "{failure}");
    assert!(begun.elapsed() < SOON);
    redis.resume();
    assert_eq!(link.query::<String>(&cmd(&["GET", "k"])).await.unwrap(), "v");
}

#[tokio::test]
async fn a_restarted_server_is_found_again_by_the_same_link() {
    let mut redis = servers::private(&[]);
    let mut link = servers::open(&redis).link().await.unwrap();
    redis.kill();
    let first = link.run(&cmd(&["PING"])).await.unwrap_err();
    assert!(first.is_transient(), "{first}");
    let gone = link.run(&cmd(&["PING"])).await.unwrap_err();
    assert!(gone.is_unreachable() && !gone.may_have_happened(), "{gone}");
    redis.restart().unwrap();
    until("the link to work again", async || link.run(&cmd(&["PING"])).await.ok()).await;
}

#[tokio::test]
async fn a_blocking_read_may_block_longer_than_the_response_timeout() {
    let redis = servers::private(&[]);
    let server = servers::open_at(&redis.url(), Some(Duration::from_millis(100)));
    let mut link = server.blocking_link(Duration::from_millis(600)).await.unwrap();
    let none = link.run(&cmd(&["BLPOP", "list", "0.6"])).await.unwrap();
    assert_eq!(none, Value::Nil);
}

#[tokio::test]
async fn refusals_of_a_real_server_are_definite() {
    let redis = servers::private(&["--maxmemory", "500kb"]);
    let server = servers::open(&redis);
    let mut link = server.link().await.unwrap();
    let failure = link.run(&cmd(&["SET", "k", "v"])).await.unwrap_err();
    assert!(failure.is_oom() && failure.is_transient(), "{failure}");
    let script = "#!lua\nreturn redis.call('SET', KEYS[1], 'v')";
    let failure = link.run(&cmd(&["EVAL", script, "1", "k"])).await.unwrap_err();
    assert!(failure.is_oom() && !failure.may_have_happened(), "{failure}");

    let mut link = crate::harness::link().await;
    let script = "#!lua\nredis.call('SET', KEYS[1], 'v') return redis.call('LPUSH', KEYS[1], 1)";
    let failure = link.run(&cmd(&["EVAL", script, "1", servers::namespace().as_str()])).await.unwrap_err();
    assert!(matches!(&failure, Failure::Server { code, .. } if code == "WRONGTYPE"), "{failure}");
    assert!(failure.may_have_happened(), "the SET stayed: {failure}");
    let failure = link.run(&cmd(&["EVAL", "return redis.call('NOPE')", "0"])).await.unwrap_err();
    assert!(matches!(failure, Failure::Server { .. }), "{failure}");
}

#[tokio::test]
async fn a_login_is_needed_where_the_server_wants_one() {
    let redis = servers::private(&[]);
    let mut admin = servers::open(&redis).link().await.unwrap();
    let server = |password: Option<&str>| {
        let options = RedisOptions {
            url: Some(redis.url()),
            password: password.map(str::to_string),
            ..RedisOptions::default()
        };
        Server::open(Endpoint::parse(&options).unwrap())
    };
    admin.run(&cmd(&["CONFIG", "SET", "requirepass", "pw"])).await.unwrap();
    for wrong in [None, Some("wrong")] {
        let failure = server(wrong).link().await.unwrap_err();
        assert_eq!(failure.refusal(), Some(Refusal::Credentials), "{wrong:?}: {failure}");
        assert!(failure.is_unreachable() && !failure.is_transient());
    }
    server(Some("pw")).link().await.unwrap().run(&cmd(&["PING"])).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    for url in ["redis://127.0.0.1:1", "unix:///nonexistent/redis.sock", "redis://no-such-host.invalid"] {
        let options = RedisOptions { url: Some(url.into()), ..RedisOptions::default() };
        let failure = Server::open(Endpoint::parse(&options).unwrap()).link().await.unwrap_err();
        assert!(failure.is_unreachable() && failure.is_transient(), "{url}: {failure}");
        assert!(failure.to_string().contains(url), "the address is named: {failure}");
    }
}
