//! `watch`: a live view of the namespace in the terminal, from 60 columns on.
//!
//! A task reads Redis every interval ([`reading`]), a thread reads the keyboard ([`keys`]), and this one draws what
//! came last ([`view`]), so that a Redis that does not answer never freezes the screen. Reading only.
//! The terminal is put back however this ends: by a key, a signal, an error or a panic; and it ends when the terminal
//! does, by whichever sign of that comes first.

mod history;
mod keys;
mod reading;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::scripts::ScriptError;

use self::history::History;
use self::keys::Key;
use self::reading::{Reader, Reading};
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

/// The order of campaigns and accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sort {
    /// Most jobs within the last minute first.
    #[default]
    Moved,
    /// Least left, or least available, first.
    Left,
    /// By name.
    Name,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Left => "left",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Moved => Self::Left,
            Self::Left => Self::Name,
            Self::Name => Self::Moved,
        }
    }
}

/// What the screen shows.
struct Screen {
    /// Which namespace on which server.
    title: String,
    interval: Duration,
    history: History,
    /// Why the last read failed, if it did.
    away: Option<String>,
    /// What is read is not shown.
    is_paused: bool,
    sort: Sort,
    /// Which table comes first.
    table: usize,
}

impl Screen {
    fn new(title: String, interval: Duration) -> Self {
        let history = History::default();
        Self { title, interval, history, away: None, is_paused: false, sort: Sort::default(), table: 0 }
    }

    fn pressed(&mut self, key: Key) {
        let tables = view::TABLES.len();
        match key {
            // The keyboard's thread says that it is over.
            Key::Quit => {}
            Key::Pause => self.is_paused = !self.is_paused,
            Key::Sort => self.sort = self.sort.next(),
            Key::Next => self.table = (self.table + 1) % tables,
            Key::Previous => self.table = (self.table + tables - 1) % tables,
            Key::Table(table) if table < tables => self.table = table,
            Key::Table(_) => {}
        }
    }

    fn looked(&mut self, looked: Result<Reading, String>, now: Instant) {
        if self.is_paused {
            return;
        }
        match looked {
            Ok(reading) => {
                self.history.add(reading, now);
                self.away = None;
            }
            Err(error) => self.away = Some(error),
        }
    }
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
    std::thread::spawn(move || keys::read_on(&sender));
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
