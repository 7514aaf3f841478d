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
    let own = cluster.node_of_slot(cluster.slot_of(&format!("{}:meta", cli.namespace)).unwrap()).unwrap();
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

    // Without the node of the namespace's own key nothing is opened, and that is said.
    let name = format!("127.0.0.1:{}", cluster.port(own));
    cluster.kill(own);
    let ran = cli.run(&["stats"]);
    let told = ran.complains(3);
    assert!(
        told.contains(&name) && told.contains(&format!("{}:meta is on that node", cli.namespace)),
        "{told}"
    );
    cluster.restart(own).unwrap();

    cluster.restart(away).unwrap();
    until_so("all of it to be read again", || cli.run(&["audit"]).code == Some(0));
    assert_eq!(listed(&cli), all);
}

#[test]
fn a_node_that_cannot_be_scanned_leaves_its_partitions_unread_in_an_audit() {
    let cluster = Cluster::of(&Settings { replicas: 0, ..Settings::default() });
    let cli = Cli { url: cluster.url(), namespace: servers::namespace().to_string() };
    cli.run(&["init", "--partitions", "6"]).exits(0);
    let may_scan = |node, word| cluster.tell::<()>(node, &["ACL", "SETUSER", "default", word]).unwrap();
    may_scan(1, "-scan");
    let audit = cli.run(&["audit", "--json"]);
    assert_eq!(audit.code, Some(3), "{}", audit.stderr);
    let report: Value = serde_json::from_str(&audit.stdout).unwrap();
    assert_eq!((&report["verdict"], report["unread"].as_array().unwrap().len()), (&"incomplete".into(), 2));
    assert!(audit.stderr.contains(&format!("127.0.0.1:{}", cluster.port(1))), "{}", audit.stderr);

    (0..cluster.count()).for_each(|node| may_scan(node, "-scan"));
    let ran = cli.run(&["audit"]);
    let told = ran.complains(3);
    assert!(told.contains("no partition can be read") && told.contains("scan"), "{told}");
    (0..cluster.count()).for_each(|node| may_scan(node, "+scan"));
    cli.run(&["audit"]).exits(0);
}

/// One that stands still: connections to it come about, and nothing on them is answered.
#[test]
fn a_node_that_stands_still_hides_nothing_of_the_others_and_is_named_by_every_command() {
    let mut cluster = Cluster::of(&Settings { replicas: 0, ..Settings::default() });
    let cli = Cli { url: cluster.url(), namespace: servers::namespace().to_string() };
    cli.run(&["init", "--partitions", "6"]).exits(0);
    for n in 0..20 {
        let redeem = ["redeem", "--campaign", &format!("c{n}"), "--customer", "u", "--id"].map(str::to_owned);
        cli.run(&["campaign", "create", &format!("c{n}"), "--limit", "5"]).exits(0);
        let words: Vec<&str> = redeem.iter().map(String::as_str).collect();
        cli.run(&["campaign", "set-limit", &format!("c{n}"), "6", "--id", &format!("more{n}")]).exits(0);
        cli.run(&[&words[..], &[&format!("now{n}")]].concat()).exits(0);
        cli.run(&[&words[..], &[&format!("later{n}"), "--in", "1h"]].concat()).exits(0);
    }
    let lines = |command: &str| cli.run(&command.split(' ').collect::<Vec<_>>()).stdout.lines().count();
    let lists = ["campaign ls --json", "job waiting --json", "journal export"];
    let whole = lists.map(lines);
    assert!(whole.iter().all(|count| *count >= 20), "{whole:?}");

    let own = cluster.node_of_slot(cluster.slot_of(&format!("{}:meta", cli.namespace)).unwrap()).unwrap();
    let still = (own + 1) % cluster.count();
    let name = format!("127.0.0.1:{}", cluster.port(still));
    cluster.stop(still);
    let lookup = (0..20).map(|n| format!("more{n}")).collect::<Vec<_>>().join(" ");
    let commands = [
        "stats --json",
        "audit --json",
        "queue ls --json",
        "worker ls --json",
        "dead ls --json",
        "job scheduled --json",
        "payout ls --json",
        "job history now0 --json",
        "dead show now0 --json",
        &format!("lookup --json {lookup}"),
    ];
    // All at once, and the node stands still until the last of them has ended.
    let begun: Vec<_> = lists
        .iter()
        .chain(&commands)
        .map(|command| (command, cli.command(&command.split(' ').collect::<Vec<_>>()).spawn().unwrap()))
        .collect();
    for (n, (command, child)) in begun.into_iter().enumerate() {
        let ran = child.wait_with_output().unwrap();
        let (told, said) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
        assert!(matches!(ran.status.code(), Some(3 | 4)), "{command}: {:?} {said}", ran.status);
        assert!(said.contains("partition ") && said.contains(&name), "{command}: {said}");
        if let Some(whole) = whole.get(n) {
            let left = told.lines().count();
            assert!(left > 0 && left < *whole, "{command}: {left} of {whole}: {said}");
        }
        if command.starts_with("lookup") {
            let known = told.lines().count();
            assert!(known > 0 && known < 20 && !told.contains("expired"), "{command}: {told} {said}");
        }
    }
    cluster.cont(still);
    until_so("all of it to be read again", || cli.run(&["audit"]).code == Some(0));
    assert_eq!(lists.map(lines), whole);
}
