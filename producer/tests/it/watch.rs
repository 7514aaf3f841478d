//! `watch` on a terminal of its own, which goes away in every way that a terminal can.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::fixtures::{payout, settle_job};
use crate::harness::{Cli, Ran, SOON};

struct Terminal {
    /// What a person types and sees; the terminal is hung up when it is closed.
    master: File,
    child: Child,
    /// Everything that was drawn so far, and the screen that it makes.
    drawn: Vec<u8>,
    screen: vt100::Parser,
}

/// A terminal of this size: what a person has, and what programs have.
pub(crate) fn pair((columns, rows): (u16, u16)) -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    (File::from(master), slave)
}

impl Terminal {
    /// `watch` on a terminal of this size, as soon as it shows numbers.
    fn start(cli: &Cli, (columns, rows): (u16, u16), environment: &[(&str, &str)]) -> Self {
        let (master, slave) = pair((columns, rows));
        let mut command = cli.command(&["watch", "--interval", "100ms"]);
        // Also stderr: what is said there after the terminal has gone cannot be written.
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        command.env("TERM", "xterm").envs(environment.iter().copied());
        let child = command.spawn().unwrap();
        drop(command);
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let screen = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let mut terminal = Self { master, child, drawn: Vec::new(), screen };
        terminal.shows("in flight");
        terminal
    }

    /// Reads on until the screen shows these words.
    fn shows(&mut self, words: &str) {
        let (begun, mut bytes) = (Instant::now(), [0; 4096]);
        while !self.screen.screen().contents().contains(words) {
            let contents = self.screen.screen().contents();
            assert!(begun.elapsed() < SOON, "{words:?} is not shown:\n{contents}");
            match self.master.read(&mut bytes) {
                Ok(count) => {
                    self.drawn.extend_from_slice(&bytes[..count]);
                    self.screen.process(&bytes[..count]);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    std::thread::yield_now();
                }
            }
        }
    }

    fn types(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }
}

fn ends(mut child: Child) -> Ran {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON, "watch goes on without a terminal");
        std::thread::yield_now();
    }
    Ran::of(Child::wait_with_output(child).unwrap())
}

#[test]
fn it_ends_by_a_key_a_signal_and_with_its_terminal() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    for key in [&b"q"[..], b"\x03", b"\x1b"] {
        let mut terminal = Terminal::start(&cli, (120, 40), &[]);
        terminal.types(key);
        ends(terminal.child).exits(0);
    }
    for signal in ["-HUP", "-TERM", "-INT"] {
        let terminal = Terminal::start(&cli, (120, 40), &[]);
        let pid = terminal.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        ends(terminal.child).exits(0);
    }
    // No SIGHUP comes, since it is not its controlling terminal: EOF and EIO alone say it.
    let Terminal { master, child, .. } = Terminal::start(&cli, (120, 40), &[]);
    drop(master);
    assert_eq!(ends(child).code, Some(0));
}

#[test]
fn at_sixty_columns_its_keys_bring_every_table() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "summer", "--limit", "731"]).exits(0);
    let mut terminal = Terminal::start(&cli, (60, 24), &[]);
    terminal.shows("summer");
    for (keys, words) in [
        (&b"2"[..], "accounts of the last minute"),
        (b"\t", "payouts: 0 for a person, 0 on their way"),
        (b"4", "dead letters: 0"),
        (b"\x1b[B", "queues"),
        (b"\t", "nothing is settled until one starts"),
        (b"1", "731"),
        (b"s", "sort: left"),
        (b"p", "PAUSED"),
    ] {
        terminal.types(keys);
        terminal.shows(words);
    }
    terminal.types(b"q");
    ends(terminal.child).exits(0);
}

#[tokio::test]
async fn a_damaged_payout_is_shown_beside_one_that_needs_a_person() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a1", "--balance", "100.00"]).exits(0);
    for id in ["p1", "p2"] {
        settle_job(&cli, id, &payout("a1", 100, "USD")).await;
    }
    let keys = cli.keys(&cli.tollgate().await);
    cli.redis(&["HSET", &keys.hold(&"p1".parse().unwrap()), "amount", "1e3"]);
    let mut terminal = Terminal::start(&cli, (60, 24), &[("NO_COLOR", "1")]);
    terminal.types(b"3");
    terminal.shows("payouts: 1 damaged, 0 for a person, 1 on their way");
    terminal.shows("amount cannot be read");
    // Repaired, it is one of the others again.
    cli.redis(&["HSET", &keys.hold(&"p1".parse().unwrap()), "amount", "100"]);
    terminal.shows("payouts: 0 for a person, 2 on their way");
    terminal.shows("none waits for a person");
    terminal.types(b"q");
    ends(terminal.child).exits(0);
}

#[test]
fn no_color_means_no_colour() {
    /// Whether an escape sequence sets a colour: 30 to 49 and 90 to 107, but for the two that set the terminal's own.
    fn is_coloured(drawn: &[u8]) -> bool {
        let text = String::from_utf8_lossy(drawn);
        let sequences = text.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m'));
        let mut numbers = sequences.flat_map(|(numbers, _)| numbers.split(';'));
        numbers.any(|number| {
            number
                .parse()
                .is_ok_and(|number: u8| matches!(number, 30..=49 | 90..=107) && number != 39 && number != 49)
        })
    }
    let cli = Cli::new();
    let plain = Terminal::start(&cli, (120, 40), &[]);
    assert!(is_coloured(&plain.drawn), "the check sees a colour where there is one");
    let mut without = Terminal::start(&cli, (120, 40), &[("NO_COLOR", "1")]);
    without.shows("until one starts");
    assert!(!is_coloured(&without.drawn));
    for mut terminal in [plain, without] {
        terminal.types(b"q");
        ends(terminal.child).exits(0);
    }
}

#[test]
fn without_a_terminal_for_keys_it_says_so() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    cli.run(&["watch"]).complains(2);
}
