//! Answers that do not arrive: what was sent may have happened, so it is sent again under the same ids, or told
//! as unknown; never as not applied.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use crate::harness::{Cli, drain, opened};

/// A way to Redis that passes some requests on and then breaks, so that their answers are lost.
struct Lossy {
    dir: tempfile::TempDir,
    left: Arc<AtomicU32>,
}

impl Lossy {
    /// Breaks after each of the next `times` packets with the word `of` in them.
    fn new(target: &str, of: &'static str, times: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let left = Arc::new(AtomicU32::new(times));
        let (target, shared) = (PathBuf::from(target.strip_prefix("unix://").unwrap()), Arc::clone(&left));
        // Ends with the process, like every connection of it.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, target, left) = (client.unwrap(), target.clone(), Arc::clone(&shared));
                std::thread::spawn(move || connection(client, &target, of.as_bytes(), &left));
            }
        });
        Self { dir, left }
    }

    fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }
}

fn connection(mut client: UnixStream, target: &Path, of: &[u8], left: &AtomicU32) {
    let mut server = UnixStream::connect(target).unwrap();
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let packet = &buffer[..count];
        let lose = packet.windows(of.len()).any(|word| word == of)
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lose {
            // First nobody hears the answer, then Redis gets the request.
            client.shutdown(std::net::Shutdown::Both).unwrap();
        }
        if server.write_all(packet).is_err() || lose {
            return;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Write);
}

fn jobs(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n"))
        .collect()
}

#[tokio::test]
async fn what_lost_its_answer_is_sent_again_and_has_one_effect() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "1000000"]).exits(0);
    let lossy = Lossy::new(&cli.url, "XADD", 3);
    let through = Cli { url: lossy.url(), namespace: cli.namespace.clone() };
    let ran = through.run_with(&["--json", "enqueue"], jobs(2_500).as_bytes());
    ran.exits(0);
    assert_eq!(lossy.left.load(Ordering::SeqCst), 0);
    assert_eq!((&ran.json()["accepted"], &ran.json()["unknown"]), (&json!(2_500), &json!(0)));
    let (tollgate, mut link) = opened(&cli).await;
    assert!(drain(&tollgate, &mut link).await > 2_500, "nothing arrived twice, so nothing was shown");
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["issued"], 2_500);
}

#[tokio::test]
async fn what_never_gets_an_answer_is_unknown() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let lossy = Lossy::new(&cli.url, "XADD", u32::MAX);
    let through = Cli { url: lossy.url(), namespace: cli.namespace.clone() };
    let ran = through.run_with(&["--json", "enqueue", "--overload-wait", "100ms"], jobs(1_500).as_bytes());
    ran.exits(4);
    let end = ran.json();
    // The first thousand were on their way; the rest was never sent.
    assert_eq!(
        (&end["accepted"], &end["unknown"], &end["not_applied"]),
        (&json!(0), &json!(1_000), &json!(500))
    );
    assert!(ran.stderr.contains("hint: repeat the same file with `--run "), "{ran:?}");
    let single = ["redeem", "--campaign", "c", "--customer", "x", "--id", "r1"];
    assert!(through.run(&single).complains(4).contains("it may have been sent"));
    let (tollgate, mut link) = opened(&cli).await;
    assert!(drain(&tollgate, &mut link).await > 0);
    assert_eq!(cli.run(&["lookup", "r1", "--json"]).json()["code"], "campaign_not_found");
}

#[tokio::test]
async fn an_operation_that_lost_its_answer_is_settled_once() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "0"]).exits(0);
    let lossy = Lossy::new(&cli.url, "EVALSHA", 2);
    let through = Cli { url: lossy.url(), namespace: cli.namespace.clone() };
    let deposit = through.run(&["--json", "account", "deposit", "a", "5"]);
    deposit.exits(0);
    assert_eq!((&deposit.json()["code"], &deposit.json()["replayed"]), (&json!("deposited"), &json!(true)));
    assert_eq!(lossy.left.load(Ordering::SeqCst), 0);
    lossy.left.store(2, Ordering::SeqCst);
    let lines = "{\"kind\":\"deposit\",\"id\":\"d\",\"account\":\"a\",\"amount\":7}";
    through.run_with(&["enqueue"], lines.as_bytes()).exits(0);
    assert_eq!(cli.run(&["--json", "account", "show", "a"]).json()["available"], 507);
}
