//! A private ZooKeeper of one server, on loopback.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::process::{Found, Server, find_program, log_dir};
use crate::watched_dir::WatchedDir;

/// Where distributions put it.
const JAR: &str = "/usr/share/java/zookeeper.jar";

pub(super) async fn start() -> anyhow::Result<Found> {
    let java = find_program("java", &[PathBuf::from("/usr/lib/jvm/default-java/bin")]);
    match java {
        Some(java) if Path::new(JAR).is_file() => {
            start_from(Command::new(java)).await.context("starting ZooKeeper")
        }
        _ => Ok(Found::Missing("hint: `make zookeeper` installs it")),
    }
}

async fn start_from(mut command: Command) -> anyhow::Result<Found> {
    let dir = WatchedDir::new("tollgate-zookeeper-", &log_dir())?;
    let port = crate::port::free()?;
    let config = dir.path().join("zoo.cfg");
    // Sessions may be as short as two ticks, and as long as a run.
    let settings = format!(
        "tickTime=100\nminSessionTimeout=200\nmaxSessionTimeout=600000\ndataDir={}\nclientPort={port}\n\
         clientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n",
        dir.path().join("data").display()
    );
    std::fs::write(&config, settings)?;
    command.args(["-Xmx128m", "-cp", JAR, "org.apache.zookeeper.server.quorum.QuorumPeerMain"]).arg(config);
    let mut server = Server::spawn(command, dir)?;
    let address = format!("127.0.0.1:{port}");
    // `ruok` is answered before it serves; `srvr` names its mode only then.
    server.until(async || serves(&address).await.unwrap_or(false)).await?;
    Ok(Found::Running(Box::new(server), address))
}

async fn serves(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"srvr").await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said.contains("Mode:"))
}
