//! `redis+sentinel://`: the master is found by name, and again after a failover; nothing is done twice on the way.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tollgate::connect::{Safety, Server};
use tollgate::failure::Refusal;
use tollgate::ids::JobId;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;
use tollgate_testkit::sentinel::Watched;

use crate::harness::{SOON, cmd, servers, until};
use crate::space::*;

/// Above what one Sentinel may take, so that who waits waits for the answer.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

fn server(url: &str) -> Server {
    servers::open_at(url, Some(ANSWERS_WITHIN))
}

/// Tries until it is decided; each failure on the way says that nothing happened, or that it may have.
async fn settled(s: &mut Space, id: &JobId) -> Answer {
    let (begun, request) = (Instant::now(), redeem("c", "u", 1));
    loop {
        match s.settle(&[(None, id, &request)]).await {
            Ok(settlement) => return settlement.answers[0],
            Err(ScriptError::Failure(failure)) => assert!(
                failure.is_transient() || failure.refusal() == Some(Refusal::UnsafeRedis),
                "{failure}"
            ),
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < SOON, "no master takes it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_master_that_dies_is_followed_by_its_replica() {
    let mut watched = Watched::start();
    let mut space = Space::on(server(&watched.url())).await;
    let s = &mut space;
    s.make(create("c", 10)).await;
    let (before, after) = (JobId::fresh(), JobId::fresh());
    assert!(matches!(settled(s, &before).await, Answer::Decided { .. }));
    watched.replicated().unwrap();
    watched.server(0).kill();
    // The same link, the same call: it goes to whoever is the master by now.
    let answer = settled(s, &after).await;
    assert!(matches!(answer, Answer::Decided { .. } | Answer::Replayed { .. }), "{answer:?}");
    assert!(matches!(settled(s, &before).await, Answer::Replayed { .. }));
    assert!(matches!(settled(s, &after).await, Answer::Replayed { .. }));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "2");
    let found = s.server.found().borrow().clone().unwrap();
    assert_eq!(found.changes, 1, "another server than before");
}

#[tokio::test]
async fn an_operator_moves_the_master_and_every_link_follows() {
    let watched = Watched::start();
    let server = server(&watched.url());
    let mut space = Space::on(server.clone()).await;
    let s = &mut space;
    s.make(create("c", 1000)).await;
    let mut held = server.link().await.unwrap();
    let mut blocking = server.blocking_link(Duration::from_millis(100)).await.unwrap();
    held.run(&cmd(&["PING"])).await.unwrap();
    watched.replicated().unwrap();
    watched.fail_over().unwrap();
    let (begun, mut decided) = (Instant::now(), 0);
    while watched.roles() != ["slave", "master"] {
        let id = JobId::fresh();
        let answer = settled(s, &id).await;
        assert!(matches!(answer, Answer::Decided { .. } | Answer::Replayed { .. }), "{answer:?}");
        decided += 1;
        assert!(begun.elapsed() < SOON, "the failover does not end");
    }
    settled(s, &JobId::fresh()).await;
    // Whoever held a connection to the old master writes to the new one, after an error at most.
    for _ in 0..2 {
        let _ = held.run(&cmd(&["SET", "held", "new"])).await;
        let _ = blocking.run(&cmd(&["SET", "blocking", "new"])).await;
    }
    for key in ["held", "blocking"] {
        assert_eq!(s.text(&["GET", key]).await.as_deref(), Some("new"), "{key}");
    }
    // What the old master still took after the new one was made is lost, and never more than that.
    let issued: u64 = s.dump().await.hash("campaign:c")["issued"].parse().unwrap();
    assert!(issued <= decided + 1, "{issued} of {decided}");
}

#[tokio::test]
async fn a_master_that_stands_still_is_left() {
    let mut watched = Watched::start();
    let mut space = Space::on(server(&watched.url())).await;
    let s = &mut space;
    s.make(create("c", 10)).await;
    watched.replicated().unwrap();
    watched.server(0).pause();
    let id = JobId::fresh();
    let answer = settled(s, &id).await;
    assert!(matches!(answer, Answer::Decided { .. }), "{answer:?}");
    watched.server(0).resume();
    assert!(matches!(settled(s, &id).await, Answer::Replayed { .. }));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
}

/// A Sentinel that names whichever port it is told to.
async fn sentinel_that_names(port: watch::Receiver<u16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let port = port.borrow().to_string();
            let mut question = [0; 512];
            if stream.read(&mut question).await.is_ok() {
                let words = ["ip", "127.0.0.1", "port", &port, "config-epoch", "1"];
                let words = words.map(|word| format!("${}\r\n{word}\r\n", word.len())).concat();
                let _ = stream.write_all(format!("*6\r\n{words}").as_bytes()).await;
            }
        }
    });
    address.port()
}

/// Cut off from the Sentinels but not from us, the old master would go on taking writes, which are lost when it comes back.
#[tokio::test]
async fn a_master_that_only_we_still_reach_is_left() {
    let (one, two) = (servers::free_port(), servers::free_port());
    let start = |port: u16| servers::private(&["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    let (_one, _two) = (start(one), start(two));
    let (name, named) = watch::channel(one);
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel_that_names(named).await);
    let server = server(&url);
    server.inspect(Safety::Refuse);
    let (mut held, mut other) = (server.link().await.unwrap(), server.link().await.unwrap());
    let mut blocking = server.blocking_link(Duration::from_millis(100)).await.unwrap();
    other.run(&cmd(&["SET", "at", "one"])).await.unwrap();
    name.send(two).unwrap();
    until("some link to ask again", async || {
        let at: Option<String> = other.query(&cmd(&["GET", "at"])).await.ok()?;
        at.is_none().then_some(())
    })
    .await;
    held.run(&cmd(&["SET", "held", "two"])).await.unwrap();
    blocking.run(&cmd(&["SET", "blocking", "two"])).await.unwrap();
    let both: Vec<String> = other.query(&cmd(&["MGET", "held", "blocking"])).await.unwrap();
    assert_eq!(both, ["two", "two"], "{}", server.endpoint());
}

#[tokio::test]
async fn one_sentinel_is_enough_to_find_the_master_and_none_is_named() {
    let mut watched = Watched::start();
    watched.leave_sentinels(1);
    server(&watched.url()).link().await.unwrap().run(&cmd(&["PING"])).await.unwrap();
    let unknown = watched.url().replace("/main", "/other");
    let said = server(&unknown).link().await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Unreachable), "{said}");
    assert!(said.to_string().contains("knows no `other`"), "{said}");
    watched.leave_sentinels(0);
    let said = server(&watched.url()).link().await.unwrap_err().to_string();
    assert!(
        said.contains("no Sentinel says where the master is") && said.matches("refused").count() == 3,
        "{said}"
    );
}
