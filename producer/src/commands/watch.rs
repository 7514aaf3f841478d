//! `watch`: a live view of the namespace in the terminal, from 60 columns on.
//!
//! A task reads Redis every interval ([`reading`]), a thread reads the keyboard ([`keys`]), and this one draws what
//! came last ([`view`]), so that a Redis that does not answer never freezes the screen. Reading only.
//! The terminal is put back however this ends: by a key, a signal, an error or a panic; and it ends when the terminal
//! does, by whichever sign of that comes first.

mod history;
mod keys;
mod reading;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::scripts::ScriptError;

use self::keys::Key;
use self::reading::{Reader, Reading};
use self::screen::Screen;
use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{complain, hint};

/// How often the screen is drawn, if nothing happens: so that ages go on.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// Reading more often than this would be load, not news.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often Redis is read, 100ms at least
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = arguments::duration)]
    interval: Duration,
}

/// What there is to do.
enum News {
    /// A look at Redis, or why it failed.
    Looked(Box<Result<Reading, String>>),
    /// The screen has another size.
    Resized,
    /// Somebody pressed a key.
    Key(Key),
    /// A key or a signal says so, or the terminal is gone.
    Stop,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if context.output().is_json() || !io::stdout().is_terminal() {
        complain("watch draws on a terminal, and stdout is none");
        hint("`stats --json` gives the same numbers once");
        return Ok(Exit::Usage);
    }
    let tollgate = context.open().await?;
    let interval = args.interval.max(INTERVAL_MIN);
    let (sender, news) = channel();
    let reader = tokio::spawn(read_on(tollgate.clone(), interval, sender.clone()));
    listen(sender.clone())?;

    let screen =
        Screen::new(format!("{} on {}", context.namespace(), tollgate.server().endpoint()), interval);
    let ended = tokio::task::block_in_place(|| show(screen, &news, sender));
    reader.abort();
    ended.context("terminal")?;
    Ok(Exit::Done)
}

/// Passes signals on from now on.
fn listen(news: Sender<News>) -> io::Result<()> {
    let (mut term, mut hup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let (mut int, mut winch) = (signal(SignalKind::interrupt())?, signal(SignalKind::window_change())?);
    tokio::spawn(async move {
        loop {
            let is_heard = tokio::select! {
                _ = winch.recv() => news.send(News::Resized),
                _ = term.recv() => news.send(News::Stop),
                _ = hup.recv() => news.send(News::Stop),
                _ = int.recv() => news.send(News::Stop),
            };
            if is_heard.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Reads until nobody listens. A failure is told and tried again: the link opens a new connection by itself.
async fn read_on(tollgate: Tollgate, interval: Duration, sender: Sender<News>) {
    let mut clock = tokio::time::interval(interval);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut reader = Reader::new(tollgate);
    loop {
        clock.tick().await;
        let reading = reader.look().await.map_err(|error| {
            // That nothing was applied is no news to someone who only looks.
            match error.downcast_ref::<ScriptError>() {
                Some(ScriptError::Failure(Failure::NotApplied { detail, .. })) => detail.clone(),
                _ => error.to_string(),
            }
        });
        if sender.send(News::Looked(Box::new(reading))).is_err() {
            return;
        }
    }
}

fn show(screen: Screen, news: &Receiver<News>, sender: Sender<News>) -> io::Result<()> {
    // Puts the terminal back in a panic, too.
    let mut terminal = ratatui::try_init()?;
    // Only now are keys bytes rather than lines. Nobody waits for the thread: it hangs in a read.
    std::thread::spawn(move || {
        keys::read_on(|key| {
            let news = if key == Key::Quit { News::Stop } else { News::Key(key) };
            sender.send(news).is_ok()
        });
    });
    let ended = draw_on(&mut terminal, screen, news);
    if terminal.show_cursor().is_err() {
        // Dropped, it would try again and complain on a stderr that is gone as well, which is a panic.
        std::mem::forget(terminal);
    }
    match ended.and(ratatui::try_restore()) {
        Err(error) if is_gone(&error) => Ok(()),
        ended => ended,
    }
}

/// Whether the terminal has gone away: then there is nobody to be told anything.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, NotConnected, UnexpectedEof, WriteZero};
    /// EIO, ENXIO, ENOTTY: a terminal that was hung up.
    const HUNG_UP: [i32; 3] = [5, 6, 25];
    error.raw_os_error().is_some_and(|code| HUNG_UP.contains(&code))
        || matches!(error.kind(), BrokenPipe | NotConnected | UnexpectedEof | WriteZero)
}

fn draw_on(
    terminal: &mut ratatui::DefaultTerminal,
    mut screen: Screen,
    news: &Receiver<News>,
) -> io::Result<()> {
    loop {
        terminal.draw(|frame| view::draw(frame, &screen, Instant::now()))?;
        let mut next = news.recv_timeout(DRAW_EVERY);
        // Everything that waits, before it is drawn once.
        loop {
            match next {
                Ok(News::Looked(looked)) => screen.looked(*looked, Instant::now()),
                Ok(News::Resized) => {}
                Ok(News::Key(key)) => screen.pressed(key),
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => break,
            }
            next = news.recv_timeout(Duration::ZERO);
        }
    }
}
