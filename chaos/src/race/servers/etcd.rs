//! A private etcd of one member, on loopback.

use anyhow::Context;
use tokio::process::Command;

use super::process::{Found, Server, find_program, log_dir};
use crate::port;
use crate::watched_dir::WatchedDir;

pub(super) async fn start() -> anyhow::Result<Found> {
    let Some(program) = find_program("etcd", &[]) else {
        return Ok(Found::Missing("hint: `make etcd` installs it"));
    };
    start_from(Command::new(program)).await.context("starting etcd")
}

async fn start_from(mut command: Command) -> anyhow::Result<Found> {
    let dir = WatchedDir::new("tollgate-etcd-", &log_dir())?;
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let [client, peer] = [url(port::free()?), url(port::free()?)];
    command.arg("--data-dir").arg(dir.path().join("data"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.arg("--initial-cluster").arg(format!("default={peer}"));
    // A lease may be as short as the election takes, in whole seconds: one second.
    command.args(["--heartbeat-interval", "10", "--election-timeout", "100", "--log-level", "error"]);
    let mut server = Server::spawn(command, dir)?;
    let http = http_client()?;
    server
        .until(async || match http.get(format!("{client}/health")).send().await {
            Ok(answer) => answer.text().await.is_ok_and(|text| text.contains("true")),
            Err(_) => false,
        })
        .await?;
    Ok(Found::Running(Box::new(server), client))
}

/// A client, since it speaks HTTP; without a time-out, since whoever asks for a lock waits for it.
pub(in crate::race) fn http_client() -> reqwest::Result<reqwest::Client> {
    // It wants a TLS provider, also where no TLS is spoken; whoever installed one first wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build()
}
