//! Servers that refuse a connection, or speak TLS where we do not or the other way round: each told by its name.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate::embedded::Temporary;

use tollgate_testkit::servers::free_port;

use crate::harness::Cli;

/// A server that says one thing to whoever connects and hangs up, as Redis does when it is full.
fn says_and_hangs_up(words: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(words.as_bytes());
            // Closing with unread bytes is a reset, by which what was written is lost: the case of the report.
            drop(stream);
        }
    });
    url
}

/// Whatever wins the race between our greeting and the server's last words.
#[test]
fn a_server_that_refuses_connections_is_told_by_name() {
    let cli = |url: String| Cli { url, namespace: "n".to_owned() };
    for (words, said) in [
        ("-ERR max number of clients reached\r\n", "no_link"),
        (
            "-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
            "protected_mode",
        ),
    ] {
        let cli = cli(says_and_hangs_up(words));
        for _ in 0..20 {
            let ran = cli.run(&["stats"]);
            assert!(ran.complains(3).contains(said), "{ran:?}");
            assert!(!ran.stderr.contains("is Redis running"), "{ran:?}");
        }
    }
}

#[test]
fn tls_on_one_side_only_is_told_by_name() {
    let plain = Temporary::start(&["--port", &free_port().to_string()]).unwrap();
    let port = config(&plain, "port");
    let cli = Cli { url: format!("rediss://127.0.0.1:{port}"), namespace: "n".to_owned() };
    let ran = cli.run(&["stats"]);
    assert!(ran.complains(3).contains("does not speak TLS at this port: use redis://"), "{ran:?}");

    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(dir.path());
    let port = free_port().to_string();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let server = Temporary::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
        "--tls-auth-clients",
        "yes",
    ]);
    let (true, Ok(_server)) = (certificates, server) else {
        let _ = writeln!(std::io::stderr(), "skipped: openssl, or a redis-server with TLS, is missing");
        return;
    };
    let at = |scheme: &str| Cli { url: format!("{scheme}://127.0.0.1:{port}"), namespace: "n".to_owned() };
    let ran = at("redis").run(&["stats"]);
    assert!(ran.complains(3).contains("speaks TLS at this port: use rediss://"), "{ran:?}");
    let with = |names: &[(&str, &str)]| {
        let args: Vec<String> =
            names.iter().flat_map(|(flag, name)| [format!("--redis-{flag}"), file(name)]).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["init"]).collect();
        at("rediss").run(&args)
    };
    let ran = with(&[("ca", "other.pem")]);
    assert!(
        ran.complains(3).contains(
            "not trusted here\nhint: rediss:// speaks TLS, redis:// does not; --redis-ca names the authority"
        ),
        "{ran:?}"
    );
    let ran = with(&[("ca", "ca.pem")]);
    assert!(ran.complains(3).contains("--redis-cert and --redis-key"), "{ran:?}");
    with(&[("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key")]).exits(0);
    let ran = with(&[("ca", "ca.pem"), ("cert", "server.key"), ("key", "server.key")]);
    assert!(ran.complains(2).contains("no certificate in it"), "{ran:?}");
}

fn config(server: &Temporary, name: &str) -> String {
    let cli = Cli { url: server.url(), namespace: "n".to_owned() };
    cli.redis(&["CONFIG", "GET", name]).lines().nth(1).unwrap().to_owned()
}

/// An authority, another one, and a certificate of the first; `false` without openssl.
pub(crate) fn certificates(dir: &Path) -> bool {
    let openssl = |words: &str| {
        let status =
            Command::new("openssl").args(words.split(' ')).current_dir(dir).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        .unwrap();
    let authority = |name: &str| {
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ))
    };
    authority("ca")
        && authority("other")
        && openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr",
        )
        && openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        )
}
