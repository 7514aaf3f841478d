//! The private server: one per directory, whoever starts it, and its data outlives it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tollgate::connect::{Endpoint, Origin, RedisOptions, Server};
use tollgate::embedded::{self, AppendFsync, Embedded, EmbeddedError, Options, Stopped, Temporary};
use tollgate::link::Link;

use crate::harness::{cmd, until};

/// A directory whose server is killed when the test ends, however it ends.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(".tollgate")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(text) = std::fs::read_to_string(self.dir().join("redis.pid")) {
            // Only tests that failed leave one; the id is from this very test.
            let _ = kill_process(Pid::from_raw(text.trim().parse().unwrap()).unwrap(), Signal::KILL);
        }
    }
}

async fn link(embedded: &Embedded) -> Link {
    let endpoint = Endpoint::unix(embedded.socket(), Duration::from_secs(5)).unwrap();
    Server::open(endpoint).link().await.unwrap()
}

async fn pid(dir: &Path) -> u32 {
    embedded::status(dir).await.unwrap().server.unwrap().0
}

fn signal(dir: &Path, signal: Signal) {
    let text = std::fs::read_to_string(dir.join("redis.pid")).unwrap();
    kill_process(Pid::from_raw(text.trim().parse().unwrap()).unwrap(), signal).unwrap();
}

/// Kills its server, and waits until it is gone.
async fn kill(dir: &Path) {
    signal(dir, Signal::KILL);
    until("the lock to be free", async || (!embedded::status(dir).await.unwrap().running).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_starters_at_once_start_one_server() {
    let place = Place::new();
    let dir = place.dir();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let dir = dir.clone();
            tokio::spawn(async move { Embedded::start(&dir, Options::default()).await.unwrap() })
        })
        .collect();
    let mut started = 0;
    for start in starts {
        let embedded = start.await.unwrap();
        started += u32::from(embedded.started());
        link(&embedded).await.run(&cmd(&["PING"])).await.unwrap();
    }
    assert_eq!(started, 1);
    let log = std::fs::read_to_string(dir.join("redis.log")).unwrap();
    assert_eq!(log.to_lowercase().matches("ready to accept connections").count(), 1, "{log}");
    assert_eq!(embedded::stop(&dir).await.unwrap(), Stopped::Stopped);
    assert_eq!(embedded::stop(&dir).await.unwrap(), Stopped::WasNotRunning);
}

#[tokio::test]
async fn a_stop_of_a_server_that_hangs_names_it_and_what_to_do() {
    let place = Place::new();
    let dir = place.dir();
    Embedded::start(&dir, Options::default()).await.unwrap();
    let pid = pid(&dir).await;
    signal(&dir, Signal::STOP);
    assert_eq!(embedded::status(&dir).await.unwrap().noted_pid, Some(pid));
    let said = embedded::stop(&dir).await.unwrap_err().to_string();
    assert!(said.contains("does not answer") && said.contains(&format!("kill -CONT {pid}")), "{said}");
    // It was told nothing that it would do later.
    signal(&dir, Signal::CONT);
    until("an answer", async || embedded::status(&dir).await.unwrap().server).await;
    assert_eq!(embedded::stop(&dir).await.unwrap(), Stopped::Stopped);
}

#[tokio::test]
async fn data_survives_stop_and_start() {
    let place = Place::new();
    let dir = place.dir();
    let first = Embedded::start(&dir, Options::default()).await.unwrap();
    assert!(first.started());
    link(&first).await.run(&cmd(&["SET", "k", "v"])).await.unwrap();
    assert!(!Embedded::start(&dir, Options::default()).await.unwrap().started(), "it runs already");
    embedded::stop(&dir).await.unwrap();
    assert!(!embedded::status(&dir).await.unwrap().running);

    let second = Embedded::start(&dir, Options::default()).await.unwrap();
    assert!(second.started());
    assert_eq!(link(&second).await.query::<String>(&cmd(&["GET", "k"])).await.unwrap(), "v");
    embedded::stop(&dir).await.unwrap();
}

#[tokio::test]
async fn after_kill_9_it_starts_again_with_what_was_answered() {
    let place = Place::new();
    let dir = place.dir();
    let options = Options { appendfsync: Some(AppendFsync::Always), ..Options::default() };
    let first = Embedded::start(&dir, options).await.unwrap();
    let mut held = link(&first).await;
    held.run(&cmd(&["SET", "k", "v"])).await.unwrap();
    kill(&dir).await;
    assert!(dir.join("redis.sock").exists() && dir.join("redis.pid").exists(), "left over by the killed one");

    // As it was started last: `always`, also where nothing is said.
    let second = Embedded::start(&dir, Options::default()).await.unwrap();
    assert!(second.started());
    let mut link = link(&second).await;
    assert_eq!(link.query::<String>(&cmd(&["GET", "k"])).await.unwrap(), "v");
    let fsync: Vec<String> = link.query(&cmd(&["CONFIG", "GET", "appendfsync"])).await.unwrap();
    assert_eq!(fsync, ["appendfsync", "always"]);
    // The link of before the kill heals by itself, after one call whose answer is unknown or refused.
    until("the old link to work", async || held.run(&cmd(&["PING"])).await.ok()).await;
    embedded::stop(&dir).await.unwrap();
}

/// Redis 7.0.15 cuts the file behind the last whole command, inside the transaction; without a rewrite the start after
/// the next one would execute the first half of `torn` together with `later`.
#[tokio::test]
async fn a_transaction_that_a_crash_tore_is_not_executed_by_a_later_start() {
    let place = Place::new();
    let dir = place.dir();
    let always = Options { appendfsync: Some(AppendFsync::Always), ..Options::default() };
    let transaction = async |embedded: &Embedded, names: [&str; 2]| {
        let script = "redis.call('SET', KEYS[1], 'v') redis.call('SET', KEYS[2], 'v')";
        link(embedded).await.run(&cmd(&["EVAL", script, "2", names[0], names[1]])).await.unwrap();
    };
    let first = Embedded::start(&dir, always).await.unwrap();
    transaction(&first, ["torn-1", "torn-2"]).await;
    kill(&dir).await;
    let files: Vec<_> =
        std::fs::read_dir(dir.join("data/appendonlydir")).unwrap().map(Result::unwrap).collect();
    let file =
        files.iter().find(|file| file.file_name().to_string_lossy().contains(".incr.")).unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    let second_half = bytes.windows(6).position(|word| word == b"torn-2").unwrap();
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(second_half as u64).unwrap();

    let second = Embedded::start(&dir, Options::default()).await.unwrap();
    transaction(&second, ["later-1", "later-2"]).await;
    kill(&dir).await;
    let third = Embedded::start(&dir, Options::default()).await.unwrap();
    let names = ["torn-1", "torn-2", "later-1", "later-2"].map(|name| ["EXISTS", name]);
    let mut there = Vec::new();
    for name in &names {
        there.push(link(&third).await.query::<u64>(&cmd(name)).await.unwrap());
    }
    assert_eq!(there, [0, 0, 1, 1]);
    embedded::stop(&dir).await.unwrap();
}

#[tokio::test]
async fn a_stalled_server_is_reported_rather_than_waited_for() {
    let place = Place::new();
    let dir = place.dir();
    Embedded::start(&dir, Options::default()).await.unwrap();
    signal(&dir, Signal::STOP);
    let status = embedded::status(&dir).await.unwrap();
    assert!(status.running && status.server.is_none(), "{status:?}");
    signal(&dir, Signal::CONT);
    until("the server to answer", async || embedded::status(&dir).await.unwrap().server).await;
    embedded::stop(&dir).await.unwrap();
}

#[tokio::test]
async fn a_stronger_fsync_is_set_on_a_server_that_runs() {
    let place = Place::new();
    let dir = place.dir();
    let ask = |fsync| Options { appendfsync: Some(fsync), ..Options::default() };
    let running = Embedded::start(&dir, ask(AppendFsync::EverySec)).await.unwrap();
    for asked in [AppendFsync::Always, AppendFsync::EverySec] {
        assert!(!Embedded::start(&dir, ask(asked)).await.unwrap().started());
        let fsync: Vec<String> =
            link(&running).await.query(&cmd(&["CONFIG", "GET", "appendfsync"])).await.unwrap();
        assert_eq!(fsync[1], "always", "after {asked:?} was asked for");
    }
    embedded::stop(&dir).await.unwrap();
}

#[tokio::test]
async fn it_has_what_the_design_asks() {
    let place = Place::new();
    let embedded = Embedded::start(&place.dir(), Options::default()).await.unwrap();
    let mut link = link(&embedded).await;
    for (name, value) in [
        ("port", "0"),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
        ("proto-max-bulk-len", "4194304"),
        ("save", ""),
    ] {
        let said: Vec<String> = link.query(&cmd(&["CONFIG", "GET", name])).await.unwrap();
        assert_eq!(said, [name, value]);
    }
    let pid = pid(&place.dir()).await.to_string();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap().to_string();
    assert_eq!(group, pid, "a process group of its own, or Ctrl-C kills it before the worker drains");
    embedded::stop(&place.dir()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_at_its_start_is_quoted() {
    let place = Place::new();
    let fake = place.root.path().join("redis-server");
    std::fs::write(&fake, "#!/bin/sh\necho 'Fatal: no luck today'; exit 3\n").unwrap();
    std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = Options { binary: Some(fake), ..Options::default() };
    let error = Embedded::start(&place.dir(), options).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Died { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("no luck today") && message.contains("3"), "{message}");
    std::fs::remove_file(place.dir().join("redis.pid")).unwrap();
}

#[tokio::test]
async fn without_a_url_the_private_server_is_used() {
    let place = Place::new();
    let options = || RedisOptions { embedded_dir: Some(place.dir()), ..RedisOptions::default() };
    let (server, origin) = tollgate::connect::connect(options()).await.unwrap();
    let Origin::Embedded { started: true, .. } = origin else { panic!("{origin:?}") };
    server.link().await.unwrap().run(&cmd(&["PING"])).await.unwrap();
    let (_, origin) = tollgate::connect::connect(options()).await.unwrap();
    let Origin::Embedded { started: false, .. } = origin else { panic!("{origin:?}") };
    embedded::stop(&place.dir()).await.unwrap();
}

#[test]
fn a_temporary_server_leaves_nothing_behind() {
    let mut redis = Temporary::start(&[]).unwrap();
    let dir = redis.dir().to_path_buf();
    redis.kill();
    redis.restart().unwrap();
    let pid = redis.pid().unwrap();
    drop(redis);
    assert!(!dir.exists() && !Path::new(&format!("/proc/{pid}")).exists());
}

/// Runs one of the ignored tests below as a process of its own; its first line that begins with `mark`.
fn process(test: &str, dir: &Path, mark: &str) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"])
        .env("TOLLGATE_TEST_DIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let said = loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "{test} did not say `{mark}`");
        if let Some((_, said)) = line.split_once(mark) {
            break said.trim_end().to_string();
        }
    };
    // Kept open: the test harness in the child has more to print.
    child.stdout = Some(reader.into_inner());
    (child, said)
}

/// Has the process ended, if perhaps nobody has waited for it yet?
fn has_ended(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

#[test]
#[ignore = "a process of a_killed_test_takes_its_server_with_it"]
fn child_with_a_temporary_server() {
    let redis = Temporary::start(&[]).unwrap();
    println!("SERVER {} {}", redis.pid().unwrap(), redis.dir().display());
    std::thread::sleep(Duration::from_secs(60));
}

#[tokio::test]
async fn a_killed_test_takes_its_server_with_it() {
    let (mut child, said) = process("embedded::child_with_a_temporary_server", Path::new(""), "SERVER ");
    let (pid, dir) = said.split_once(' ').unwrap();
    assert!(!has_ended(pid) && Path::new(dir).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the watchdog to clean up", async || (has_ended(pid) && !Path::new(dir).exists()).then_some(()))
        .await;
}

#[tokio::test]
#[ignore = "a process of two_processes_start_one_server_that_outlives_both"]
async fn child_that_starts() {
    let dir = PathBuf::from(std::env::var_os("TOLLGATE_TEST_DIR").unwrap());
    let embedded = Embedded::start(&dir, Options::default()).await.unwrap();
    println!("STARTED {}", embedded.started());
}

#[tokio::test]
async fn two_processes_start_one_server_that_outlives_both() {
    let place = Place::new();
    let starts: Vec<_> = (0..2)
        .map(|_| {
            let dir = place.dir();
            std::thread::spawn(move || {
                let (mut child, said) = process("embedded::child_that_starts", &dir, "STARTED ");
                assert!(child.wait().unwrap().success());
                said
            })
        })
        .collect();
    let mut said: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    said.sort();
    assert_eq!(said, ["false", "true"]);
    assert!(!Embedded::start(&place.dir(), Options::default()).await.unwrap().started(), "it outlives both");
    embedded::stop(&place.dir()).await.unwrap();
}
