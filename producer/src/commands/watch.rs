//! `watch`: a live view of the namespace in the terminal.
//!
//! Two halves: a task reads Redis every interval ([`reading`]), this thread draws what came last ([`view`]) and
//! listens to the keyboard, so that a Redis that does not answer never freezes the screen. Reading only.
//! The terminal is put back however this ends: by a key, a signal, an error or a panic.

mod history;
mod reading;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::scripts::ScriptError;

use self::history::History;
use self::reading::Reading;
use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{hint, say};

/// How often the keyboard is looked at.
const KEYS_EVERY: Duration = Duration::from_millis(50);
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

/// What the screen shows.
struct Screen {
    /// Which namespace on which server.
    title: String,
    interval: Duration,
    history: History,
    /// Why the last read failed, if it did.
    away: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if context.output().is_json() || !io::stdout().is_terminal() {
        say("error: watch draws on a terminal, and stdout is none");
        hint("`stats --json` gives the same numbers once");
        return Ok(Exit::Usage);
    }
    let tollgate = context.open().await?;
    let interval = args.interval.max(INTERVAL_MIN);
    let (sender, readings) = channel();
    let reader = tokio::spawn(read_on(tollgate.clone(), interval, sender));
    let (mut terminated, mut hung_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let (stop, stopped) = channel();
    tokio::spawn(async move {
        tokio::select! { _ = terminated.recv() => {}, _ = hung_up.recv() => {} }
        // The screen may be gone already.
        let _ = stop.send(());
    });

    let screen = Screen {
        title: format!("{} on {}", context.namespace(), tollgate.server().endpoint()),
        interval,
        history: History::default(),
        away: None,
    };
    let ended = tokio::task::block_in_place(|| show(screen, &readings, &stopped));
    reader.abort();
    ended.context("terminal")?;
    Ok(Exit::Done)
}

/// Reads until nobody listens. A failure is told and tried again: the link opens a new connection by itself.
async fn read_on(tollgate: Tollgate, interval: Duration, sender: Sender<Result<Reading, String>>) {
    let mut clock = tokio::time::interval(interval);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut seqs = reading::Seqs::new();
    loop {
        clock.tick().await;
        let reading = Reading::read(&tollgate, &mut seqs).await.map_err(|error| {
            // That nothing was applied is no news to someone who only looks.
            match error.downcast_ref::<ScriptError>() {
                Some(ScriptError::Failure(Failure::NotApplied { detail, .. })) => detail.clone(),
                _ => error.to_string(),
            }
        });
        if sender.send(reading).is_err() {
            return;
        }
    }
}

fn show(
    screen: Screen,
    readings: &Receiver<Result<Reading, String>>,
    stopped: &Receiver<()>,
) -> io::Result<()> {
    // Puts the terminal back in a panic, too.
    let mut terminal = ratatui::try_init()?;
    let ended = draw_on(&mut terminal, screen, readings, stopped);
    ratatui::try_restore().and(ended)
}

fn draw_on(
    terminal: &mut ratatui::DefaultTerminal,
    mut screen: Screen,
    readings: &Receiver<Result<Reading, String>>,
    stopped: &Receiver<()>,
) -> io::Result<()> {
    let mut drawn_at: Option<Instant> = None;
    loop {
        let mut is_news = false;
        for reading in readings.try_iter() {
            is_news = true;
            match reading {
                Ok(reading) => {
                    screen.history.add(reading, Instant::now());
                    screen.away = None;
                }
                Err(error) => screen.away = Some(error),
            }
        }
        if is_news || drawn_at.is_none_or(|at| at.elapsed() >= DRAW_EVERY) {
            terminal.draw(|frame| view::draw(frame, &screen, Instant::now()))?;
            drawn_at = Some(Instant::now());
        }
        if stopped.try_recv().is_ok() {
            return Ok(());
        }
        if event::poll(KEYS_EVERY)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    let is_ctrl_c =
                        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                    if is_ctrl_c || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc) {
                        return Ok(());
                    }
                }
                Event::Resize(..) => drawn_at = None,
                _ => {}
            }
        }
    }
}
