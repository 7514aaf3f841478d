//! `rediss+cluster://` and `rediss+sentinel://`: every node asks for our certificate and shows its own, and each has its own
//! users. What is wrong at one node is told with its name.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tollgate_testkit::cluster::{Cluster, Settings};
use tollgate_testkit::sentinel::WatchedByTls;
use tollgate_testkit::servers;

use crate::harness::{Cli, Ran, Running, until_so};
use crate::refused_links::certificates;

/// What its nodes need, and we.
struct Files(TempDir);

impl Files {
    fn made() -> Self {
        let dir = tempfile::tempdir().unwrap();
        assert!(certificates(dir.path()), "openssl makes no certificates");
        Self(dir)
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Settings of a server that asks for certificates of this authority.
    fn settings(&self) -> Vec<String> {
        let files = [("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem")];
        let mut words = vec!["--tls-auth-clients".to_owned(), "yes".to_owned()];
        words.extend(files.iter().flat_map(|(what, name)| [format!("--tls-{what}-file"), self.file(name)]));
        words
    }

    /// Of a command that trusts this authority and shows the certificate, or none.
    fn command(&self, mut command: Command, authority: &str, certificate: bool) -> Command {
        command.env("REDIS_CA_FILE", self.file(authority));
        if certificate {
            command.env("REDIS_CERT_FILE", self.file("server.pem"));
            command.env("REDIS_KEY_FILE", self.file("server.key"));
        }
        command
    }

    fn run(&self, cli: &Cli, words: &str) -> Ran {
        let command = cli.command(&words.split(' ').collect::<Vec<_>>());
        Ran::of(self.command(command, "ca.pem", true).output().unwrap())
    }

    /// The same command, which may be given again, until it ends so: on a busy machine nobody may answer in time at first.
    fn ends(&self, cli: &Cli, words: &str, code: i32) -> Ran {
        let mut ran = None;
        until_so(&format!("`{words}` to end with {code}"), || {
            ran.insert(self.run(cli, words)).code == Some(code)
        });
        ran.unwrap()
    }

    fn worker(&self, cli: &Cli) -> Running {
        Running::start(&mut self.command(cli.worker_command(&[]), "ca.pem", true))
    }

    /// Sends jobs, has them settled, and audits.
    fn works(&self, cli: &Cli, campaigns: usize) {
        let _worker = self.worker(cli);
        for n in 0..campaigns {
            self.ends(cli, &format!("campaign create c{n} --limit 5"), 0);
            self.ends(cli, &format!("redeem --campaign c{n} --customer u --id j{n} --wait 60s"), 0);
        }
        let audit = self.ends(cli, "audit --json", 0);
        let report: Value = serde_json::from_str(&audit.stdout).unwrap();
        assert_eq!(report["verdict"], "pass", "{report}");
    }

    /// An authority that is not theirs, and no certificate of ours, are told.
    fn is_told(&self, cli: &Cli, names: &[String]) {
        for (authority, certificate, said) in
            [("other.pem", true, "not trusted"), ("ca.pem", false, "--redis-cert")]
        {
            until_so(&format!("{said:?} to be told of {names:?}"), || {
                let ran =
                    Ran::of(self.command(cli.command(&["stats"]), authority, certificate).output().unwrap());
                let told = ran.complains(3);
                told.contains(said) && names.iter().all(|name| told.contains(name))
            });
        }
    }
}

#[test]
fn a_cluster_that_speaks_tls_only_is_used_by_commands_and_workers() {
    let files = Files::made();
    let settings = Settings { replicas: 0, tls: Some(files.settings()), ..Settings::default() };
    let cluster = Cluster::of(&settings);
    let cli = Cli { url: cluster.url(), namespace: servers::namespace().to_string() };
    assert!(cli.url.starts_with("rediss+cluster://"));
    files.ends(&cli, "init --partitions 6", 0);
    files.works(&cli, 8);
    let names: Vec<_> =
        (0..cluster.count()).map(|node| format!("127.0.0.1:{}", cluster.port(node))).collect();
    files.is_told(&cli, &names);

    // Users are each node's own. One of them does not know ours; then it does, and lets it do nothing.
    let own = cluster.node_of_slot(cluster.slot_of(&format!("{}:meta", cli.namespace)).unwrap()).unwrap();
    let odd = (own + 1) % cluster.count();
    for node in (0..cluster.count()).filter(|node| *node != odd) {
        let words = ["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all"];
        cluster.tell::<()>(node, &words).unwrap();
    }
    let url = cli.url.replace("rediss+cluster://", "rediss+cluster://app:secret@");
    let cli = Cli { url, ..cli };
    for (rights, code) in [(None, 3), (Some(["ACL", "SETUSER", "app", "on", ">secret", "+ping"]), 1)] {
        if let Some(words) = rights {
            cluster.tell::<()>(odd, &words).unwrap();
        }
        until_so(&format!("what the others hold, and the node with {rights:?}"), || {
            let ran = files.run(&cli, "campaign ls --json");
            let told = ran.stdout.lines().count();
            ran.code == Some(code) && ran.stderr.contains(&names[odd]) && told > 0 && told < 8
        });
    }
    cluster.tell::<()>(odd, &["ACL", "SETUSER", "app", "~*", "&*", "+@all"]).unwrap();
    until_so("all of it to be read", || files.run(&cli, "audit").code == Some(0));
}

#[test]
fn sentinels_and_a_master_that_speak_tls_only_are_used_by_commands_and_workers() {
    let files = Files::made();
    let watched = WatchedByTls::start(&files.settings());
    let cli = Cli { url: watched.url.clone(), namespace: servers::namespace().to_string() };
    until_so("the Sentinel to know the master", || files.run(&cli, "init").code == Some(0));
    files.works(&cli, 2);
    let sentinel = watched.url.trim_start_matches("rediss+sentinel://").split('/').next().unwrap().to_owned();
    files.is_told(&cli, &[sentinel]);
}
