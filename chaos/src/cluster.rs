//! A Redis Cluster to try things with: nodes on loopback, each a private server, until somebody ends this.
//!
//! Whatever ends it, SIGKILL included, leaves neither a server nor a file behind. Must not be used for data that matters.

use std::pin::pin;
use std::process::ExitCode;

use clap::value_parser;
use tollgate_testkit::cluster::{Cluster, Settings};

use crate::stage;

/// What the cluster is made of.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many nodes have slots.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = value_parser!(u8).range(1..=16))]
    masters: u8,
    /// How many replicas each of them has.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u8).range(0..=4))]
    replicas: u8,
}

/// Serves until SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn run(args: Args) -> ExitCode {
    let settings =
        Settings { masters: args.masters.into(), replicas: args.replicas.into(), ..Settings::default() };
    let started = tokio::task::spawn_blocking(move || Cluster::try_start(&settings));
    // One for the whole time: a signal between two of them would be nobody's.
    let mut interrupted = pin!(stage::interrupted());
    let cluster = tokio::select! {
        started = started => match started {
            Ok(Ok(cluster)) => cluster,
            Ok(Err(error)) => return failed(&error),
            Err(error) => return failed(&error),
        },
        // What has started ends with this process.
        () = &mut interrupted => return ExitCode::FAILURE,
    };
    for node in 0..cluster.count() {
        let (port, id) = (cluster.port(node), cluster.id(node));
        let role = if node < args.masters.into() { "master" } else { "replica" };
        let pid = cluster.pid(node).unwrap_or_default();
        stage::complain(format_args!("  {role:<8} 127.0.0.1:{port}  pid {pid:<7}  {id}"));
    }
    stage::complain(format_args!("{}\n", usage(&cluster)));
    stage::print(cluster.url());
    interrupted.await;
    ExitCode::SUCCESS
}

fn usage(cluster: &Cluster) -> String {
    let port = cluster.port(0);
    let mut commands = vec![
        (format!("export REDIS_URL={}", cluster.url()), ""),
        (format!("redis-cli -p {port} cluster nodes"), "which node is what now"),
        (format!("redis-cli --cluster reshard 127.0.0.1:{port}"), "moves slots; it asks how many, and where"),
    ];
    if let Some(replica) = cluster.replicas_of(0).first() {
        let (replica, pid) = (cluster.port(*replica), cluster.pid(0).unwrap_or_default());
        commands.push((format!("redis-cli -p {replica} cluster failover"), "makes a replica the master"));
        commands.push((format!("kill -9 {pid}"), "the first master dies"));
    }
    let line = |(command, what): (String, &str)| format!("  {command:<44} {what}").trim_end().to_owned();
    let lines: Vec<String> = commands.into_iter().map(line).collect();
    format!("Ctrl-C ends all of it, and its data. In another terminal:\n{}", lines.join("\n"))
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    stage::complain(format_args!("error: {error}"));
    ExitCode::FAILURE
}
