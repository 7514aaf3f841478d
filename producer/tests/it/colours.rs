//! Colours: where a person watches, and not where `NO_COLOR` is set; by every program that writes a log.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Cli, Running, SOON};
use crate::watch::pair;

/// What a program writes to a terminal until it has said these words.
fn written(command: &mut Command, no_color: Option<&str>, until: &str) -> String {
    let (mut master, slave) = pair((200, 50));
    // RUST_LOG of the harness would silence the line that is waited for.
    command
        .env("TERM", "xterm")
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(slave);
    command.envs(no_color.map(|value| ("NO_COLOR", value)));
    let running = Running::start(command);
    // The terminal is hung up, and reading ends, when nobody has it any more.
    command.stderr(Stdio::null());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count) = master.read(&mut bytes) {
            let _ = sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    });
    let mut text = String::new();
    while !text.contains(until) {
        text += &receiver.recv_timeout(SOON).unwrap_or_else(|_| panic!("{until:?} is not said: {text}"));
    }
    drop(running);
    text
}

#[test]
fn a_log_has_colours_unless_they_are_refused() {
    let cli = Cli::new();
    let chaos = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).with_file_name("tollgate-chaos");
    let dir = tempfile::tempdir().unwrap();
    for (no_color, expected) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let worker = written(&mut cli.worker_command(&[]), no_color, "ready");
        assert_eq!(worker.contains('\x1b'), expected, "worker, NO_COLOR={no_color:?}: {worker:?}");
        let ledger = dir.path().join("ledger").display().to_string();
        let mut bank = Command::new(&chaos);
        let bank = written(bank.args(["bank", "--ledger", &ledger]), no_color, "the bank is open");
        assert_eq!(bank.contains('\x1b'), expected, "bank, NO_COLOR={no_color:?}: {bank:?}");
    }
}
