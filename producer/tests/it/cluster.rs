//! Commands on a Redis Cluster of which a node is away: what the others hold is shown, and what cannot be read is named.

use serde_json::Value;
use tollgate_testkit::cluster::{Cluster, Settings};
use tollgate_testkit::servers;
use tollgate_testkit::wait::until_so;

use crate::harness::Cli;

#[test]
fn a_node_that_is_away_hides_nothing_of_the_others_and_is_named() {
    let mut cluster = Cluster::of(&Settings { replicas: 0, ..Settings::default() });
    let cli = Cli { url: cluster.url(), namespace: servers::namespace().to_string() };
    cli.run(&["init", "--partitions", "6"]).exits(0);
    for n in 0..20 {
        cli.run(&["campaign", "create", &format!("c{n}"), "--limit", "5"]).exits(0);
    }
    cli.run(&["audit"]).exits(0);
    let listed = |cli: &Cli| cli.run(&["campaign", "ls", "--json"]).stdout.lines().count();
    let all = listed(&cli);
    // Not the node of the namespace's own key: without that nothing is opened.
    let own = cluster.node_of_slot(cluster.slot_of(&format!("{}:meta", cli.namespace))).unwrap();
    let away = (own + 1) % cluster.count();
    let name = format!("127.0.0.1:{}", cluster.port(away));
    cluster.kill(away);

    let stats = cli.run(&["stats", "--json"]);
    assert_eq!(stats.code, Some(3), "{}", stats.stderr);
    let read: Value = serde_json::from_str(&stats.stdout).unwrap();
    assert_eq!(read["partitions"].as_array().unwrap().len(), 4, "{read}");
    assert_eq!(read["unread"].as_array().unwrap().len(), 2, "{read}");
    assert!(stats.stderr.contains(&name), "{}", stats.stderr);
    let left = listed(&cli);
    assert!(left > 0 && left < all, "{left} of {all}");
    let audit = cli.run(&["audit", "--json"]);
    assert_eq!(audit.code, Some(3), "{}", audit.stderr);
    let report: Value = serde_json::from_str(&audit.stdout).unwrap();
    assert_eq!(report["verdict"], "incomplete");
    assert_eq!(report["unread"].as_array().unwrap().len(), 2, "{report}");
    assert!(audit.stderr.contains(&name), "{}", audit.stderr);
    let journal = cli.run(&["journal", "export"]);
    assert_eq!(journal.code, Some(3), "{}", journal.stderr);
    assert!(journal.stdout.lines().count() > 0 && journal.stderr.contains(&name), "{}", journal.stderr);

    cluster.restart(away);
    until_so("all of it to be read again", || cli.run(&["audit"]).code == Some(0));
    assert_eq!(listed(&cli), all);
}
