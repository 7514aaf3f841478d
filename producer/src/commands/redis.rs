//! `redis start|stop|status`: the private redis-server by hand.
//!
//! These speak of the private server only, whatever REDIS_URL says.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use serde::Serialize;
use tollgate::embedded::{self, AppendFsync, Embedded, EmbeddedError, Options, Stopped};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::say;

/// A stop that takes longer than this is told about.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Start it, if it does not run
    Start {
        /// When its append-only file reaches the disk: everysec or always [default: as last time]
        #[arg(long, value_name = "WHEN", value_parser = appendfsync)]
        appendfsync: Option<AppendFsync>,
    },
    /// Stop it; its data stays
    Stop,
    /// Show whether it runs
    Status,
}

fn appendfsync(text: &str) -> Result<AppendFsync, &'static str> {
    AppendFsync::parse(text).ok_or("must be everysec or always")
}

#[derive(Serialize)]
struct View {
    dir: String,
    url: String,
    running: bool,
    pid: Option<u32>,
    version: Option<String>,
}

/// Runs the command. `status` of a server that does not run is exit code 3.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let dir = match &context.redis().embedded_dir {
        Some(dir) => dir.clone(),
        None => embedded::find_dir()?,
    };
    let mut stopped = false;
    match args.verb {
        Verb::Start { appendfsync } => {
            let server = Embedded::start(&dir, Options { appendfsync, ..Options::default() }).await?;
            if !server.started() {
                say("it was running already");
            }
        }
        Verb::Stop => {
            stopped = stop(&dir).await? == Stopped::Stopped;
        }
        Verb::Status => {}
    }
    let found = embedded::status(&dir).await?;
    let (pid, version) = found.server.unzip();
    let view = View {
        dir: found.dir.display().to_string(),
        url: format!("unix://{}", found.socket.display()),
        running: found.running,
        pid,
        version,
    };
    context.output().data(&view, || match (view.running, view.pid, &view.version) {
        (true, Some(pid), Some(version)) => format!("running: {} (pid {pid}, {version})", view.url),
        (true, ..) => format!("running, but it does not answer: {}", view.url),
        (false, ..) if stopped => format!("stopped; its data stays in {}", view.dir),
        (false, ..) => format!("not running: {}", view.dir),
    })?;
    Ok(match args.verb {
        Verb::Status if !view.running => Exit::Unreachable,
        Verb::Status if view.pid.is_none() => Exit::Unreachable,
        _ => Exit::Done,
    })
}

/// Stops it, and says for whom it waits if that takes a while.
async fn stop(dir: &Path) -> Result<Stopped, EmbeddedError> {
    let mut stopping = pin!(embedded::stop(dir));
    tokio::select! {
        stopped = &mut stopping => return stopped,
        () = tokio::time::sleep(TELL_AFTER) => {}
    }
    if let Some(pid) = embedded::status(dir).await?.noted_pid {
        say(format_args!("waiting for the private redis in {}, pid {pid}, to stop", dir.display()));
    }
    stopping.await
}
