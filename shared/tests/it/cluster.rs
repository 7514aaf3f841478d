//! `redis+cluster://`: each call goes to the node that has its slot, follows it when it moves and when its master dies, and
//! is never sent again unless the node said that nothing was executed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::Tollgate;
use tollgate::connect::{Safety, Server};
use tollgate::failure::{Failure, Refusal};
use tollgate::fetch::wait;
use tollgate::ids::{JobId, QueueName};
use tollgate::job::Job;
use tollgate::kinds::{JobRequest, Redeem};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::preflight::{Accepted, Tier};
use tollgate::quantity::Quantity;
use tollgate::resource::Resource;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;
use tollgate::scripts::stats;
use tollgate_audit::Verdict;
use tollgate_testkit::cluster::{Cluster, Settings};

use crate::harness::{SOON, cmd, servers};
use crate::space::{RETENTION, create, redeem};
use relay::{Relay, Trap};

mod relay;

const ANSWERS_WITHIN: Duration = Duration::from_millis(800);
const PARTITIONS: u16 = 12;

struct Spread {
    cluster: Cluster,
    server: Server,
    tollgate: Tollgate,
    link: Link,
    /// One campaign in each partition.
    campaigns: Vec<String>,
}

impl Spread {
    async fn over(cluster: Cluster) -> Self {
        let server = servers::open_at(&cluster.url(), Some(ANSWERS_WITHIN));
        let partitions = Partitions::new(PARTITIONS).unwrap();
        let tollgate =
            Tollgate::init(server.clone(), servers::namespace(), partitions, RETENTION).await.unwrap();
        let link = server.link().await.unwrap();
        let name_in = |partition| {
            let is_there = |name: &String| {
                tollgate.partition_of(Resource::Campaign(&name.parse().unwrap())) == partition
            };
            (0..).map(|n| format!("c{n}")).find(is_there).unwrap()
        };
        let campaigns = partitions.iter().map(name_in).collect();
        let mut spread = Self { cluster, server, tollgate, link, campaigns };
        for campaign in spread.campaigns.clone() {
            let id = JobId::fresh();
            let made = spread.tollgate.settle_one(&mut spread.link, &id, &create(&campaign, 1000)).await;
            assert!(matches!(made.unwrap(), Answer::Decided { .. }));
        }
        spread
    }

    fn slot(&self, partition: u16) -> u16 {
        self.cluster.slot_of(&self.keys_of(partition).head()).unwrap()
    }

    fn keys_of(&self, partition: u16) -> &tollgate::keys::Keys {
        self.tollgate.keys(self.tollgate.partitions().get(partition).unwrap())
    }

    fn node_of(&self, partition: u16) -> usize {
        self.cluster.node_of_slot(self.slot(partition)).unwrap()
    }

    /// A partition on another node.
    fn elsewhere(&self, partition: u16) -> u16 {
        let node = self.node_of(partition);
        (0..PARTITIONS).find(|other| self.node_of(*other) != node).unwrap()
    }

    async fn redeem(&mut self, partition: u16, id: &JobId) -> Result<Answer, ScriptError> {
        let request = redeem(&self.campaigns[usize::from(partition)], "u", 1);
        self.tollgate.settle_one(&mut self.link, id, &request).await
    }

    /// Tries until it is decided; each failure on the way says that nothing happened, or that it may have.
    async fn redeemed(&mut self, partition: u16, id: &JobId) -> Answer {
        let begun = Instant::now();
        loop {
            match self.redeem(partition, id).await {
                Ok(answer) => return answer,
                Err(ScriptError::Failure(failure)) => {
                    assert!(failure.is_transient(), "{failure}");
                    assert!(failure.node().is_some(), "not of a node: {failure}");
                }
                Err(error) => panic!("{error}"),
            }
            assert!(begun.elapsed() < SOON, "no node takes it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// From now on every node is reached by a relay of its own.
    async fn behind_relays(&mut self, within: Duration) -> Vec<Arc<Relay>> {
        let relays: Vec<Arc<Relay>> = {
            let mut relays = Vec::new();
            for node in 0..self.cluster.count() {
                let relay = Relay::listen(self.cluster.port(node)).await;
                self.cluster.set(node, &[("cluster-announce-port", &relay.port.to_string())]).unwrap();
                relays.push(relay);
            }
            relays
        };
        // All nodes say that the others are behind the relays.
        let ports: Vec<String> = relays.iter().map(|relay| relay.port.to_string()).collect();
        tollgate_testkit::wait::until_so("every node to announce the relays", || {
            (0..self.cluster.count()).all(|node| {
                let nodes: String = self.cluster.tell(node, &["CLUSTER", "NODES"]).unwrap();
                ports.iter().all(|port| nodes.contains(&format!(":{port}@")))
            })
        });
        let url = format!("redis+cluster://127.0.0.1:{}", relays[0].port);
        let server = servers::open_at(&url, Some(within));
        self.tollgate = Tollgate::open(server.clone(), self.tollgate.namespace().clone()).await.unwrap();
        self.link = server.link().await.unwrap();
        relays
    }

    async fn issued(&mut self, partition: u16) -> u64 {
        let key = self.keys_of(partition).campaign(&self.campaigns[usize::from(partition)].parse().unwrap());
        self.link.query(&cmd(&["HGET", &key, "issued"])).await.unwrap()
    }

    async fn audit_passes(&self) {
        let begun = Instant::now();
        let report = loop {
            // A node that has just come back may not know yet that it is served again.
            match tollgate_audit::audit(&self.tollgate, &[], &|_| {}).await {
                Err(failure) => assert!(begun.elapsed() < SOON && failure.is_transient(), "{failure}"),
                Ok(report) => break report,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    }
}

fn job(campaign: &str) -> Job {
    let request = Redeem {
        campaign: campaign.parse().unwrap(),
        customer: "u".parse().unwrap(),
        quantity: Quantity::new(1).unwrap(),
    };
    Job { id: JobId::fresh(), at: None, request: JobRequest::from(request) }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ScriptError>) -> Refusal {
    match result {
        Err(ScriptError::Failure(Failure::NotApplied { reason, .. })) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_partition_is_reached_by_one_link_and_one_pipeline() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let jobs: Vec<Job> = (0..100).map(|n| job(&s.campaigns[n % s.campaigns.len()])).collect();
    let sent = s.tollgate.enqueue(&mut s.link, &QueueName::default(), &jobs).await.unwrap();
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let mut waiting = 0;
    for partition in s.tollgate.partitions().iter() {
        let stats = stats::read(&mut s.link, s.tollgate.keys(partition)).await.unwrap();
        waiting += stats.queues.iter().map(|queue| queue.waiting).sum::<u64>();
        assert_eq!(
            s.redeem(partition.number(), &JobId::fresh()).await.unwrap().code().unwrap().name(),
            "redeemed"
        );
    }
    assert_eq!(waiting, 100);
    let nodes: std::collections::BTreeSet<_> =
        (0..PARTITIONS).map(|partition| s.node_of(partition)).collect();
    assert_eq!(nodes.len(), 3, "the partitions lie on all nodes");
    assert_eq!(s.server.redirected().unwrap().moved, 0, "the map was right");
    s.audit_passes().await;
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_by_a_link_that_is_held_and_by_one_that_blocks() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let (slot, to) = (s.slot(0), s.node_of(s.elsewhere(0)));
    let keys = s.keys_of(0).clone();
    // Through another server value: it does not learn from the link that is held.
    let other = servers::open_at(&s.cluster.url(), Some(ANSWERS_WITHIN));
    let mut blocking = other.blocking_link(Duration::from_millis(100)).await.unwrap();
    let queues = [QueueName::default()];
    let job = job(&s.campaigns[0]);
    s.tollgate.enqueue(&mut s.link, &queues[0], [&job]).await.unwrap();
    wait(&mut blocking, &keys, &queues, Duration::from_millis(10)).await.unwrap();
    assert!(matches!(s.redeem(0, &JobId::fresh()).await.unwrap(), Answer::Decided { .. }));
    s.cluster.migrate_slot(slot, to).unwrap();
    // The same links, and the first try.
    assert!(matches!(s.redeem(0, &JobId::fresh()).await.unwrap(), Answer::Decided { .. }));
    assert_eq!(s.server.redirected().unwrap().moved, 1);
    let moved = wait(&mut blocking, &keys, &queues, Duration::from_millis(10)).await;
    assert_eq!(refusal(moved.map_err(ScriptError::from)), Refusal::Moved);
    wait(&mut blocking, &keys, &queues, Duration::from_millis(10)).await.unwrap();
    assert_eq!(other.redirected().unwrap().moved, 1);
    assert_eq!(s.issued(0).await, 2);
    s.audit_passes().await;
}

#[tokio::test]
async fn while_half_of_a_slot_has_moved_its_partition_waits_and_the_others_go_on() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let (slot, to) = (s.slot(0), s.node_of(s.elsewhere(0)));
    let id = JobId::fresh();
    s.cluster.begin_migration(slot, to).unwrap();
    assert!(s.cluster.move_keys(slot, to, 1).unwrap() == 1);
    let refused = s.redeem(0, &id).await;
    assert_eq!(refusal(refused), Refusal::TryAgain);
    assert!(s.server.redirected().unwrap().waited > 0, "it was tried again for a while");
    // A single key is found wherever it is by now.
    for key in [s.keys_of(0).head(), s.keys_of(0).journal(), s.keys_of(0).resources()] {
        assert!(s.link.query::<bool>(&cmd(&["EXISTS", &key])).await.unwrap(), "{key}");
    }
    for partition in 1..PARTITIONS {
        assert!(matches!(s.redeem(partition, &JobId::fresh()).await.unwrap(), Answer::Decided { .. }));
    }
    s.cluster.finish_migration(slot, to).unwrap();
    assert!(matches!(s.redeem(0, &id).await.unwrap(), Answer::Decided { .. }));
    assert!(matches!(s.redeem(0, &id).await.unwrap(), Answer::Replayed { .. }));
    assert_eq!(s.issued(0).await, 1);
    s.audit_passes().await;
}

#[tokio::test]
async fn a_transaction_asks_before_it_begins_where_its_key_has_gone() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let (slot, to) = (s.slot(0), s.node_of(s.elsewhere(0)));
    s.cluster.begin_migration(slot, to).unwrap();
    while s.cluster.move_keys(slot, to, 10).unwrap() > 0 {}
    let key = s.keys_of(0).repair();
    let commands = [cmd(&["HINCRBY", &key, "n", "1"]), cmd(&["HINCRBY", &key, "n", "1"])];
    let replies = s.link.run_transaction(&commands).await.unwrap();
    let replies: Vec<i64> =
        replies.into_iter().map(|reply| redis::from_redis_value(reply.unwrap()).unwrap()).collect();
    assert_eq!(replies, [1, 2]);
    assert_eq!(s.server.redirected().unwrap().asked, 1);
    s.link.run(&cmd(&["DEL", &key])).await.unwrap();
    s.cluster.finish_migration(slot, to).unwrap();
    s.audit_passes().await;
}

#[tokio::test]
async fn a_master_that_dies_is_followed_by_its_replica_and_the_others_do_not_wait() {
    let mut s = Spread::over(Cluster::start()).await;
    let (before, after) = (JobId::fresh(), JobId::fresh());
    assert!(matches!(s.redeem(0, &before).await.unwrap(), Answer::Decided { .. }));
    s.cluster.replicated().unwrap();
    let (dead, other) = (s.node_of(0), s.elsewhere(0));
    s.cluster.kill(dead);
    assert!(matches!(s.redeem(other, &JobId::fresh()).await.unwrap(), Answer::Decided { .. }));
    s.redeemed(0, &after).await;
    assert!(matches!(s.redeemed(0, &before).await, Answer::Replayed { .. }));
    assert!(matches!(s.redeemed(0, &after).await, Answer::Replayed { .. }));
    assert_eq!(s.issued(0).await, 2);
    s.audit_passes().await;
}

#[tokio::test]
async fn what_nobody_serves_is_refused_by_name_and_the_rest_is_served() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let (dead, other) = (s.node_of(0), s.elsewhere(0));
    s.cluster.kill(dead);
    let name = format!("127.0.0.1:{}", s.cluster.port(dead));
    let mut told = false;
    for _ in 0..3 {
        let Err(ScriptError::Failure(failure)) = s.redeem(0, &JobId::fresh()).await else {
            panic!("it is dead")
        };
        assert!(failure.node().is_some() && failure.is_transient(), "{failure}");
        told |= failure.node() == Some(&name);
        assert!(matches!(s.redeem(other, &JobId::fresh()).await.unwrap(), Answer::Decided { .. }));
    }
    assert!(told, "the node is named");
    s.cluster.restart(dead).unwrap();
    s.redeemed(0, &JobId::fresh()).await;
    s.audit_passes().await;
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_the_call_is_never_sent_again() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let relays = s.behind_relays(ANSWERS_WITHIN).await;
    for trap in [Trap::DropReply, Trap::DropRequest, Trap::CutReply] {
        for partition in 0..PARTITIONS {
            // So that the script is known to the node, and the connection is there.
            s.redeemed(partition, &JobId::fresh()).await;
            let relay = &relays[s.node_of(partition)];
            let (id, before) = (JobId::fresh(), s.issued(partition).await);
            let sent = relays.iter().map(|relay| relay.scripts()).sum::<u64>();
            relay.arm(trap);
            let Err(ScriptError::Failure(failure)) = s.redeem(partition, &id).await else {
                panic!("{trap:?}: it has answered")
            };
            assert!(matches!(failure, Failure::Unknown { .. }), "{trap:?}: {failure}");
            let now = relays.iter().map(|relay| relay.scripts()).sum::<u64>();
            assert_eq!(now - sent, 1, "{trap:?}: sent again");
            let happened = u64::from(trap != Trap::DropRequest);
            assert_eq!(s.issued(partition).await - before, happened, "{trap:?}");
            let answer = s.redeemed(partition, &id).await;
            assert_eq!(matches!(answer, Answer::Replayed { .. }), trap != Trap::DropRequest, "{trap:?}");
        }
    }
    s.audit_passes().await;
}

fn is_send<T: Send>(future: T) -> T {
    future
}

/// A node takes calls and answers none, for longer than this test lasts.
#[tokio::test]
async fn a_node_that_answers_nothing_keeps_nobody_from_asking_the_others() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let relays = s.behind_relays(Duration::from_secs(3600)).await;
    let id = JobId::fresh();
    // So that the scripts are known to every node.
    assert_eq!(s.tollgate.lookup(std::slice::from_ref(&id)).await.unwrap().len(), 1);
    let silent = s.node_of(0);
    let elsewhere = (0..PARTITIONS).filter(|partition| s.node_of(*partition) != silent).count() as u64;
    let sent = |relays: &[Arc<Relay>]| {
        let others = relays.iter().enumerate().filter(|(node, _)| *node != silent);
        others.map(|(_, relay)| relay.scripts()).sum::<u64>()
    };
    relays[silent].arm(Trap::Hold);
    for what in ["lookup", "waiting", "audit"] {
        let before = sent(&relays);
        let asking = async {
            match what {
                // These are asked by services, in tasks of their own.
                "lookup" => is_send(s.tollgate.lookup(std::slice::from_ref(&id))).await.map(drop),
                "waiting" => {
                    is_send(s.tollgate.waiting(&QueueName::default())).await.map(drop).map_err(Into::into)
                }
                _ => tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.map(drop).map_err(Into::into),
            }
        };
        let others_asked = async {
            let begun = Instant::now();
            while sent(&relays) < before + elsewhere {
                assert!(begun.elapsed() < SOON, "{what}: {} of {elsewhere}", sent(&relays) - before);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            answer = asking => panic!("{what}: {answer:?} of a node that gives none"),
            () = others_asked => {}
        }
    }
    relays[silent].disarm();
    s.audit_passes().await;
}

#[tokio::test]
async fn a_wrong_way_to_a_cluster_is_told() {
    let cluster = Cluster::of(&Settings { replicas: 0, full_coverage: true, ..Settings::default() });
    // One of its nodes as if it were a server by itself.
    let node = servers::open_at(&cluster.node_url(0), None);
    let error = Tollgate::open_or_init(node, servers::namespace()).await.unwrap_err().to_string();
    assert!(error.contains("redis+cluster://") || error.contains("moved"), "{error}");
    // A server by itself as if it were a cluster.
    let port = servers::free_port();
    let _one = servers::private(&["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    let one = servers::open_at(&format!("redis+cluster://127.0.0.1:{port}"), None);
    let error = one.link().await.unwrap_err().to_string();
    assert!(error.contains("cluster support disabled") && error.contains("redis://"), "{error}");
    let server = servers::open_at(&cluster.url(), None);
    let report = server.link().await.unwrap().preflight(Tier::Memory).await.unwrap();
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["one_slot_stops_all"; 3], "{report:?}");
    assert!(report.is_fit());
}

#[tokio::test]
async fn each_node_is_judged_by_itself() {
    let mut s = Spread::over(Cluster::of(&Settings { replicas: 0, ..Settings::default() })).await;
    let (bad, other) = (s.node_of(0), s.elsewhere(0));
    s.cluster.set(bad, &[("maxmemory-policy", "allkeys-lru")]).unwrap();
    let server = servers::open_at(&s.cluster.url(), Some(ANSWERS_WITHIN));
    let tollgate = Tollgate::open(server.clone(), s.tollgate.namespace().clone()).await;
    let tollgate = tollgate.unwrap_or_else(|error| panic!("one node keeps all from being opened: {error}"));
    (s.tollgate, s.link) = (tollgate, server.link().await.unwrap());
    let refused = s.redeem(0, &JobId::fresh()).await;
    assert_eq!(refusal(refused), Refusal::UnsafeRedis);
    assert!(matches!(s.redeem(other, &JobId::fresh()).await.unwrap(), Answer::Decided { .. }));
    let found = server.found().borrow().clone().unwrap();
    let reasons: Vec<_> =
        found.report(Default::default()).refusals().map(|found| found.reason.clone()).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains(&s.cluster.port(bad).to_string()), "{reasons:?}");
    // And where a slot comes to: that node is judged, too.
    let slot = s.slot(other);
    s.cluster.migrate_slot(slot, bad).unwrap();
    let refused = s.redeem(other, &JobId::fresh()).await;
    assert_eq!(refusal(refused), Refusal::UnsafeRedis);
    s.cluster.set(bad, &[("maxmemory-policy", "noeviction")]).unwrap();
    let begun = Instant::now();
    while s.redeem(0, &JobId::fresh()).await.is_err() {
        assert!(begun.elapsed() < SOON, "it is mended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_was_accepted_by_its_name_is_accepted_of_every_node() {
    let more = vec!["--appendonly".to_owned(), "no".to_owned()];
    let cluster = Cluster::of(&Settings { replicas: 0, more, ..Settings::default() });
    let partitions = Partitions::new(PARTITIONS).unwrap();
    let init = async |safety: Option<Safety>| {
        let server = servers::open_at(&cluster.url(), Some(ANSWERS_WITHIN));
        server.inspect(safety.unwrap_or(Safety::Refuse));
        let made = Tollgate::init(server.clone(), servers::namespace(), partitions, RETENTION).await;
        (made.map(drop), server)
    };
    let (refused, _) = init(None).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("aof_off") && refused.contains("node 127.0.0.1:"), "{refused}");
    let (made, server) = init(Some(Safety::Accept(Accepted::NoAof))).await;
    made.unwrap();
    let found = server.found().borrow().clone().unwrap();
    assert!(found.report(Tier::Memory).is_fit(), "{found:?}");
    // What must be on disk before an answer is not.
    assert!(!found.report(Tier::Fsync).is_fit(), "{found:?}");
}
