//! `tollgate-chaos cluster`: it says its address, answers there, and leaves nothing when it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tollgate_testkit::process::{Running, Signal};

/// What a node says, as redis-cli prints it; nothing if there is none.
fn ask(port: &str, words: &[&str]) -> String {
    let said = Command::new(tollgate_testkit::servers::cli_program())
        .args(["-p", port])
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn a_cluster_is_there_until_it_is_interrupted() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
    command.args(["cluster", "--masters", "2"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut cluster = Running::start(&mut command);
    let mut url = String::new();
    BufReader::new(cluster.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let ports: Vec<&str> = url.trim().split(',').filter_map(|host| host.rsplit(':').next()).collect();
    assert!(url.starts_with("redis+cluster://127.0.0.1:") && ports.len() == 4, "{url}");
    for port in &ports {
        assert!(ask(port, &["cluster", "info"]).contains("cluster_state:ok"), "{port}");
    }
    cluster.signal(Signal::INT).unwrap();
    assert!(cluster.wait().unwrap().success());
    for port in ports {
        assert_eq!(ask(port, &["ping"]), "", "{port}");
    }
}
