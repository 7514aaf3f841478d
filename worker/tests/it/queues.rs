//! Which queues a worker serves.

use tollgate::ids::QueueName;
use tollgate::scripts::queue::{Apply, QueueStatus, queue, repair};
use tollgate::workers::Description;

use crate::harness::{Space, redemptions, shared, until};

async fn set(space: &Space, name: &str, status: QueueStatus) {
    let mut link = space.tollgate.server().link().await.unwrap();
    let name = QueueName::parse(name).unwrap();
    queue(&mut link, space.keys(), &name, Some(status)).await.unwrap();
}

async fn waiting(space: &Space, name: &str) -> u64 {
    let stats = space.stats().await;
    stats.queues.iter().find(|queue| queue.name.as_str() == name).unwrap().waiting
}

#[tokio::test]
async fn a_paused_queue_waits_until_it_is_resumed_also_one_that_was_served_before() {
    let space = Space::on(shared()).await;
    set(&space, "slow", QueueStatus::Paused).await;
    space.enqueue_to("slow", &redemptions("s", 10)).await;
    space.enqueue(&redemptions("d", 10)).await;
    let mut worker = space.worker(&["--listen", "0"]);
    until("the other queue", async || (space.issued().await == 10).then_some(())).await;
    assert_eq!(waiting(&space, "slow").await, 10);
    set(&space, "slow", QueueStatus::Active).await;
    space.drained().await;
    assert_eq!(space.issued().await, 20);
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test]
async fn named_queues_are_opened_and_served_and_no_others() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("d", 5)).await;
    // Sent before anyone opened the queue, by a client that knows no more than XADD.
    space.enqueue_to("mail", &redemptions("m", 600)).await;
    space.enqueue_to("bulk", &redemptions("b", 600)).await;
    let _worker = space.worker(&["-q", "mail,3", "-q", "bulk", "--batch", "10"]);
    until("both queues", async || (space.issued().await == 1_200).then_some(())).await;
    assert_eq!(waiting(&space, "default").await, 5);
}

#[tokio::test]
async fn a_worker_that_serves_every_queue_serves_those_that_nobody_opened() {
    let space = Space::on(shared()).await;
    space.enqueue_to("before", &redemptions("a", 5)).await;
    let worker = space.worker(&[]);
    worker.says("ready").await;
    space.enqueue_to("after", &redemptions("b", 5)).await;
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.queues.len()), (10, 3));
}

fn stream(space: &Space, name: &str) -> String {
    space.keys().queue(&QueueName::parse(name).unwrap())
}

/// What is deleted, by whomever, is not made again in silence; the other queues go on.
#[tokio::test]
async fn a_queue_that_is_deleted_is_said_once_and_served_again_after_its_repair() {
    let cases = [
        (&["DEL", "stream"][..], "its stream is gone", 3),
        (&["HSET", "rows", "1-0", "no row"], "what it has in flight is damaged", 0),
        (&["DEL", "queues"], "it is gone from the list of queues", 0),
    ];
    futures_util::future::join_all(cases.map(async |(delete, problem, gone)| {
        let space = Space::on(shared()).await;
        let queue_name = QueueName::parse("mail").unwrap();
        let worker = space.worker(&["--listen", "0", "-q", "mail", "-q", "other"]);
        until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
        space.enqueue_to("mail", &redemptions("before", 5)).await;
        until("the first ones", async || (space.issued().await == 5).then_some(())).await;
        // These are never fetched; another worker's survey counts them.
        set(&space, "mail", QueueStatus::Paused).await;
        let mut link = space.tollgate.server().link().await.unwrap();
        until("the pause", async || {
            let beats = tollgate::workers::beats(&mut link, space.keys()).await.unwrap();
            let paused = |said: &Description| said.queues == ["other"];
            beats.iter().any(|beat| beat.description.as_ref().is_some_and(paused)).then_some(())
        })
        .await;
        // A read that began before the pause ends with this one.
        space.enqueue_to("other", &redemptions("probe", 1)).await;
        until("the probe", async || (space.issued().await == 6).then_some(())).await;
        space.enqueue_to("mail", &redemptions("kept", 3)).await;
        tollgate::scripts::survey::read(&mut link, space.keys()).await.unwrap();
        set(&space, "default", QueueStatus::Paused).await;

        let words: Vec<String> = delete
            .iter()
            .map(|word| match *word {
                "stream" => stream(&space, "mail"),
                "queues" => space.keys().queues(),
                "rows" => space.keys().in_flight(&queue_name),
                other => other.to_owned(),
            })
            .collect();
        space.cmd(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        if delete[1] != "queues" {
            set_listed(&space, "mail", "active").await;
        }
        worker.says(problem).await;
        until("unreadiness", async || {
            let (status, page) = worker.page("/readyz").await;
            (status.contains("503") && page.contains("queue_lost") && page.contains("repair queue mail"))
                .then_some(())
        })
        .await;
        assert_eq!(worker.figure(r#"tollgate_incidents{kind="queue_lost"}"#).await.min(1), 1);
        // What is sent now waits, and is seen.
        space.enqueue_to("mail", &redemptions("after", 2)).await;
        let row = space.stats().await.queues.into_iter().find(|row| row.name == queue_name).unwrap();
        assert!(row.problem.is_some() && row.waiting >= 2 && row.lost == gone, "{problem}: {row:?}");
        if delete[1] != "queues" {
            space.enqueue_to("other", &redemptions("other", 4)).await;
            until("the other queue", async || (space.issued().await == 10).then_some(())).await;
        }
        let log = worker.log();
        let lines = log.lines().filter(|line| line.contains(problem) && line.contains("queue mail"));
        assert_eq!(lines.count(), 1, "{log}");

        for name in ["mail", "other", "default"] {
            let name = QueueName::parse(name).unwrap();
            repair(&mut link, space.keys(), &name, Apply::Yes).await.unwrap();
        }
        until("readiness again", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
        let issued =
            async || space.issued().await == 6 + 2 + (3 - gone) + if delete[1] == "queues" { 0 } else { 4 };
        until("what is left of the queue", async || issued().await.then_some(())).await;
        let stats = space.drained().await;
        assert_eq!(stats.head.lost, gone, "{problem}");
    }))
    .await;
}

/// The status alone, past the script.
async fn set_listed(space: &Space, name: &str, status: &str) {
    space.cmd(&["HSET", &space.keys().queues(), name, status]).await;
}

#[tokio::test]
async fn entries_that_vanish_past_the_scripts_are_said_once() {
    for surgery in ["in flight", "waiting"] {
        let space = Space::on(shared()).await;
        let name = stream(&space, "default");
        space.enqueue(&redemptions("j", 2)).await;
        if surgery == "waiting" {
            set(&space, "default", QueueStatus::Paused).await;
        } else {
            space.take_as("gone", space.keys(), &QueueName::default(), 1).await;
        }
        let ids = String::from_utf8(space.bytes(&["XRANGE", &name, "-", "+"]).await).unwrap();
        let ids: Vec<&str> = ids.lines().filter(|line| line.contains('-') && !line.contains('{')).collect();
        space.cmd(&["XDEL", &name, ids[if surgery == "waiting" { 1 } else { 0 }]]).await;
        let worker = space.worker(&["--listen", "0"]);
        if surgery == "waiting" {
            set(&space, "default", QueueStatus::Active).await;
        }
        worker.says("incident=jobs_missing").await;
        until("the figure", async || {
            (worker.figure(r#"tollgate_incidents{kind="jobs_missing"}"#).await == 1).then_some(())
        })
        .await;
        assert!(worker.page("/readyz").await.0.contains("200"), "it can work: {surgery:?}");
        assert_eq!(worker.said("incident=jobs_missing"), 1, "{}", worker.log());
        until("the count", async || (space.stats().await.head.vanished == 1).then_some(())).await;
    }
}

/// A group that somebody moved or deleted moves no job.
#[tokio::test]
async fn whoever_moves_the_group_moves_no_job() {
    let space = Space::on(shared()).await;
    let name = stream(&space, "default");
    let _worker = space.worker(&["--batch", "5"]);
    for round in 0..6 {
        space.enqueue(&redemptions(&format!("j{round}-"), 50)).await;
        // Where the group is gone, there is nothing to move.
        let moved =
            ["XGROUP SETID $1 cursor $", "XGROUP SETID $1 cursor 0", "XGROUP DESTROY $1 cursor"][round % 3];
        let words: Vec<&str> =
            moved.split(' ').map(|word| if word == "$1" { name.as_str() } else { word }).collect();
        let mut link = space.tollgate.server().link().await.unwrap();
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        link.run(&command).await.ok();
    }
    until("the jobs", async || (space.issued().await == 300).then_some(())).await;
    let stats = space.drained().await;
    assert_eq!((stats.head.seq, stats.head.replayed), (301, 0));
}

/// A pause stops fetching; what is in a worker's hands is settled, whoever's they were.
#[tokio::test]
async fn a_paused_queue_drains_what_a_worker_held_that_died_before_the_pause() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("j", 5)).await;
    space.take_as("dead", space.keys(), &QueueName::default(), 3).await;
    set(&space, "default", QueueStatus::Paused).await;
    let worker = space.worker(&[]);
    until("what the dead worker held", async || (space.issued().await == 3).then_some(())).await;
    let stats = space.stats().await;
    assert_eq!((Space::in_flight(&stats), Space::waiting(&stats)), (0, 2));
    drop(worker);
}

#[tokio::test]
async fn a_stream_that_a_plain_xadd_made_is_found_and_one_that_nobody_can_serve_is_named() {
    let space = Space::on(shared()).await;
    let (tag, _) =
        space.queue_key().split_once("queue:").map(|(tag, rest)| (tag.to_owned(), rest.to_owned())).unwrap();
    for (n, job) in redemptions("plain", 3).iter().enumerate() {
        let key = format!("{tag}queue:plain{n}");
        space.cmd(&["XADD", &key, "*", "job", &job.encode()]).await;
    }
    let elsewhere = format!("{}queue:default", tag.replace(".0}", ".7}"));
    let nameless = format!("{tag}queue:a b");
    for stream in [&elsewhere, &nameless] {
        space.cmd(&["XADD", stream, "*", "job", "{}"]).await;
    }
    let worker = space.worker(&[]);
    until("the jobs", async || (space.issued().await == 3).then_some(())).await;
    for (stream, why) in [
        (&elsewhere, "a partition that the namespace does not have"),
        (&nameless, "whose name is not a queue name"),
    ] {
        worker.says(why).await;
        assert!(worker.log().contains(stream.as_str()), "{}", worker.log());
    }
    let report = tollgate_audit::audit(&space.tollgate, &[], &|_| {}).await.unwrap();
    let told: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    for words in [
        "(partition 7): jobs were sent to a partition",
        "queue:a b (partition 0): jobs were sent to a stream",
    ] {
        assert!(told.iter().any(|violation| violation.contains(words)), "{words}: {told:#?}");
    }
    assert_eq!(told.len(), 2, "{told:#?}");
    space.cmd(&["DEL", &elsewhere, &nameless]).await;
}

#[tokio::test]
async fn a_worker_says_when_a_queue_that_it_is_to_serve_has_never_existed() {
    let space = Space::on(shared()).await;
    space.enqueue_to("mail", &redemptions("m", 1)).await;
    let (key, job) = (stream(&space, "plain"), redemptions("p", 1).remove(0).encode());
    space.cmd(&["XADD", &key, "*", "job", &job]).await;
    let worker = space.worker(&["-q", "mial", "-q", "mail", "-q", "plain", "-q", "default"]);
    worker.says("queue mial has never existed").await;
    until("the jobs", async || (space.issued().await >= 1).then_some(())).await;
    assert_eq!(worker.said("has never existed"), 1, "{}", worker.log());
    assert!(worker.log().contains(r#"there_are="default, mail, plain""#), "{}", worker.log());
}
