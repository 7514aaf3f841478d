//! The redis.conf of `docs/operating.md` starts a server, and the programs find it fit.

use std::process::{Command, Stdio};

use crate::harness::{Cli, Running, until_so};

const DOC: &str = include_str!("../../../docs/operating.md");

#[test]
fn the_documented_redis_conf_starts_a_fit_server() {
    let section = DOC.split("\n## redis.conf\n").nth(1).unwrap();
    let conf = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("redis.conf");
    std::fs::write(&file, conf).unwrap();
    let socket = dir.path().join("s");
    let mut server = Command::new(tollgate_testkit::servers::server_program());
    server.arg(&file).arg("--port").arg("0").arg("--unixsocket").arg(&socket).arg("--dir").arg(dir.path());
    let mut server = Running::start(server.stdout(Stdio::null()));
    until_so("the server to start", || {
        assert!(server.try_wait().unwrap().is_none(), "it does not start");
        socket.exists()
    });
    let cli = Cli { url: format!("unix://{}", socket.display()), namespace: "n".to_owned() };
    let ran = cli.run(&["init"]);
    ran.exits(0);
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
}
