//! `watch` on a terminal of its own, which goes away in every way that a terminal can.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::{Cli, Ran, SOON};

struct Terminal {
    /// What a person types and sees; the terminal is hung up when it is closed.
    master: File,
    child: Child,
}

fn start(cli: &Cli) -> Terminal {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave: OwnedFd =
        rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .unwrap();
    let mut command = cli.command(&["watch", "--interval", "100ms"]);
    // Also stderr: what is said there after the terminal has gone cannot be written.
    command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
    command.env("TERM", "xterm");
    let child = command.spawn().unwrap();
    drop(command);
    let mut master = File::from(master);
    rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
    let (begun, mut screen, mut bytes) = (Instant::now(), Vec::new(), [0; 4096]);
    while !screen.windows(5).any(|word| word == b"queue") {
        assert!(begun.elapsed() < SOON, "nothing is drawn: {:?}", String::from_utf8_lossy(&screen));
        match master.read(&mut bytes) {
            Ok(count) => screen.extend_from_slice(&bytes[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    Terminal { master, child }
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
        let mut terminal = start(&cli);
        terminal.master.write_all(key).unwrap();
        ends(terminal.child).exits(0);
    }
    for signal in ["-HUP", "-TERM", "-INT"] {
        let terminal = start(&cli);
        let pid = terminal.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        ends(terminal.child).exits(0);
    }
    // No SIGHUP comes, since it is not its controlling terminal: EOF and EIO alone say it.
    let Terminal { master, child } = start(&cli);
    drop(master);
    assert_eq!(ends(child).code, Some(0));
}

#[test]
fn without_a_terminal_for_keys_it_says_so() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    cli.run(&["watch"]).complains(2);
}
