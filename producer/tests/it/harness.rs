//! Drives the binary: a namespace of its own on the redis-server that the tests of this process share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tollgate::Tollgate;
use tollgate::connect::Server;
use tollgate::embedded::Temporary;
use tollgate::envelope::Envelope;
use tollgate::fetch::Take;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::Namespace;
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::scripts::settle::{Item, Policy, Source, settle_with};
pub(crate) use tollgate_testkit::process::Running;
use tollgate_testkit::servers;
pub(crate) use tollgate_testkit::servers::run as redis;
pub(crate) use tollgate_testkit::wait::{SOON, until, until_so};

/// A namespace on a server.
pub(crate) struct Cli {
    pub(crate) url: String,
    pub(crate) namespace: String,
}

impl Cli {
    /// A fresh namespace on the shared server, initialised with one partition.
    pub(crate) fn new() -> Self {
        let cli = Self::empty();
        cli.run(&["init"]).exits(0);
        cli
    }

    /// A name on the shared server that nobody has initialised.
    pub(crate) fn empty() -> Self {
        Self::on(servers::shared())
    }

    /// A fresh namespace on a server of one's own.
    pub(crate) fn on(redis: &Temporary) -> Self {
        Self { url: redis.url(), namespace: servers::namespace().to_string() }
    }

    /// The command, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = servers::bare(env!("CARGO_BIN_EXE_tollgate-producer"));
        command.args(args).env("REDIS_URL", &self.url).env("TOLLGATE_NAMESPACE", &self.namespace);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs the command with this stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ran {
        Ran::fed(self.command(args), stdin)
    }

    /// A server handle for looking at keys (links die with the runtime that made them).
    pub(crate) fn server(&self) -> Server {
        servers::open_at(&self.url, None)
    }

    /// The namespace as the library sees it.
    pub(crate) async fn tollgate(&self) -> Tollgate {
        Tollgate::open(self.server(), Namespace::parse(self.namespace.as_str()).unwrap()).await.unwrap()
    }

    /// A worker process on this namespace; killed when dropped.
    pub(crate) fn worker(&self, args: &[&str]) -> Running {
        Running::start(&mut self.worker_command(args))
    }

    /// The worker, not yet started.
    pub(crate) fn worker_command(&self, args: &[&str]) -> Command {
        let mut command = servers::bare(worker_binary());
        command
            .args(args)
            .env("RUST_LOG", "warn")
            .env("REDIS_URL", &self.url)
            .env("TOLLGATE_NAMESPACE", &self.namespace);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }
}

/// The worker beside the binary under test.
fn worker_binary() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).with_file_name("tollgate-worker");
    assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A line of stderr as people see it, also where `--json` made an object of it.
pub(crate) fn as_text(line: &str) -> String {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(line) else { return line.to_owned() };
    match (json["level"].as_str(), json["message"].as_str()) {
        (Some("info"), Some(message)) => format!("{message}\n"),
        // What is wrong with a line of the input names it by itself.
        (Some("error"), Some(message)) if message.starts_with("line ") => format!("{message}\n"),
        (Some(level), Some(message)) => format!("{level}: {message}\n"),
        _ => line.to_owned(),
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap().split_inclusive('\n').map(as_text).collect(),
        }
    }

    /// Of a command with this stdin.
    pub(crate) fn fed(mut command: Command, stdin: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // A command that refuses early does not read it all.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        Self::of(child.wait_with_output().unwrap())
    }

    /// Stdout, of a command that must have ended so.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:#?}");
        &self.stdout
    }

    /// Stderr, of a command that must have ended so.
    #[track_caller]
    pub(crate) fn complains(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:#?}");
        &self.stderr
    }

    /// Stdout as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Settles what lies in the default queue of partition 0 from the beginning of the stream on, as a worker would:
/// every entry, in order, in batches.
pub(crate) async fn drain(tollgate: &Tollgate, link: &mut Link) -> u64 {
    let keys = tollgate.keys(tollgate.partitions().get(0).unwrap());
    let queue = QueueName::default();
    let mut count = 0;
    loop {
        let Some(taken) = Take::new(keys, &queue, "w", 500).run(link).await.unwrap() else { return count };
        let jobs: Vec<(String, tollgate::job::Job)> = taken
            .entries
            .into_iter()
            .map(|delivered| (delivered.entry, Envelope::decode_job(&delivered.job).unwrap()))
            .collect();
        let items: Vec<Item<'_>> = jobs
            .iter()
            .map(|(entry, job)| Item {
                entry: Some(entry),
                id: &job.id,
                request: &job.request,
                fingerprint: Fingerprint::of(&job.request),
            })
            .collect();
        count += items.len() as u64;
        let source = Some(Source { row: &taken.row, left: &[] });
        let policy = Policy { source, ..Policy::default() };
        settle_with(link, keys, &queue, &items, policy).await.unwrap();
    }
}

/// The namespace and a link to it.
pub(crate) async fn opened(cli: &Cli) -> (Tollgate, Link) {
    let tollgate = cli.tollgate().await;
    let link = tollgate.server().link().await.unwrap();
    (tollgate, link)
}
