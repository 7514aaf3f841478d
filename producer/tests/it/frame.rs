//! What holds for every command: exit codes, help, where words go, which Redis is refused.

use std::io::Read as _;
use std::process::{Command, Stdio};

use tollgate_testkit::servers::server_program;

use crate::harness::{Cli, Ran};

const COMMANDS: [&str; 18] = [
    "init", "campaign", "account", "redeem", "withdraw", "enqueue", "burst", "lookup", "stats", "dead",
    "queue", "worker", "journal", "audit", "watch", "receipts", "repair", "redis",
];

#[test]
fn help_is_data_and_a_wrong_command_line_is_exit_2() {
    let cli = Cli::new();
    let help = cli.run(&["--help"]);
    for command in COMMANDS {
        assert!(help.exits(0).contains(&format!("\n  {command} ")), "{command}");
        cli.run(&[command, "--help"]).exits(0);
        cli.run(&[command, "--no-such-flag"]).complains(2);
    }
    cli.run(&[]).complains(2);
    cli.run(&["dance"]).complains(2);
    cli.run(&["stats", "--namespace", "a:b"]).complains(2);
}

#[test]
fn no_redis_is_exit_3_and_a_wrong_address_exit_2() {
    let at = |url: &str| Cli { url: url.to_owned(), namespace: "n".to_owned() };
    let away = at("redis://127.0.0.1:1");
    assert!(away.run(&["init"]).complains(3).contains("hint: is Redis running"));
    for wrong in ["http://localhost", "localhost:6379", "redis-sentinel://a:1/main"] {
        assert!(at(wrong).run(&["init"]).complains(2).starts_with("error: "), "{wrong}");
    }
}

#[test]
fn a_redis_that_loses_data_is_refused_unless_told_otherwise() {
    let unsafe_redis = tollgate::embedded::Temporary::start(&["--maxmemory-policy", "allkeys-lru"]).unwrap();
    let cli = Cli::on(&unsafe_redis);
    let refused = cli.run(&["init"]);
    assert!(refused.complains(3).contains("allkeys-lru"), "{refused:?}");
    let warned = cli.run(&["init", "--allow-unsafe-redis"]);
    warned.exits(0);
    assert!(warned.stderr.contains("warning: "), "{warned:?}");
}

/// A directory with a private server in it, which ends with the test.
struct Private(tempfile::TempDir);

impl Private {
    fn run(&self, args: &[&str]) -> Ran {
        let cli = Cli { url: String::new(), namespace: "n".to_owned() };
        Ran::of(cli.command(args).env_remove("REDIS_URL").current_dir(self.0.path()).output().unwrap())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.run(&["redis", "stop"]);
    }
}

#[test]
fn without_a_url_a_private_server_is_started_and_said() {
    let private = Private(tempfile::tempdir().unwrap());
    let first = private.run(&["account", "open", "a", "--balance", "1"]);
    first.exits(0);
    assert!(first.stderr.contains("started the private redis in "), "{first:?}");
    assert!(first.stderr.contains(".tollgate"), "{first:?}");
    let again = private.run(&["account", "show", "a"]);
    again.exits(0);
    assert!(again.stderr.contains("using the private redis in "), "{again:?}");
    // It is called what it calls itself: a Valkey also has the version of a Redis that it is like.
    let version = Command::new(server_program()).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let (kind, rest) = version.split_once(" server v=").unwrap();
    let expected = format!("{} {}", kind.to_lowercase(), rest.split(' ').next().unwrap());
    assert_eq!(private.run(&["redis", "status", "--json"]).json()["version"], expected.as_str());
    assert!(private.run(&["redis", "stop"]).exits(0).contains("stopped; its data stays in "));
    let none = private.run(&["redis", "stop"]);
    assert!(none.exits(0).starts_with("not running: ") && none.stderr.is_empty(), "{none:?}");
    // What was on it survives; asking for its status does not start it.
    private.run(&["redis", "status"]).exits(3);
    assert_eq!(private.run(&["account", "show", "a", "--json"]).json()["available"], 100);
}

#[test]
fn few_files_are_said_rather_than_panicked_about() {
    let cli = Cli::new();
    for files in ["7", "9", "20"] {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_tollgate-producer");
        command.args(["-c", &format!("ulimit -n {files}; exec {program} stats")]);
        command.env("REDIS_URL", &cli.url).stdin(Stdio::null());
        let ran = Ran::of(command.output().unwrap());
        assert!(ran.complains(1).contains("raise the limit (`ulimit -n`"), "{ran:?}");
    }
}

#[test]
fn under_json_stderr_is_json_too() {
    let cli = Cli { namespace: "nobody-made-it".to_owned(), ..Cli::new() };
    let mut child = cli.command(&["--json", "stats"]).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "error"), "{said}");
    let wrong = cli.command(&["--json", "nonsense"]).output().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(2) && line["level"] == "error", "{line}");
}
