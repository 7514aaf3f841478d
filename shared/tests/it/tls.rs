//! `rediss://` with a CA file: certificates made on the spot, a real server behind TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;

use crate::harness::{cmd, servers};

fn openssl(dir: &Path, words: &str) {
    let done = Command::new("openssl").current_dir(dir).args(words.split_whitespace()).output();
    let done = done.expect("this test needs the openssl command");
    assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// An authority and, signed by it, a certificate for 127.0.0.1.
fn certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1";
    openssl(dir, &format!("req -x509 {key} -subj /CN=ca -keyout ca.key -out ca.pem"));
    openssl(dir, &format!("req {key} -subj /CN=redis -keyout server.key -out server.csr"));
    std::fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        dir,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile names -out server.pem",
    );
}

fn tls_server(dir: &Path) -> (Temporary, u16) {
    let port = servers::free_port();
    let file = |name: &str| dir.join(name).display().to_string();
    let redis = servers::private(&[
        "--tls-port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
    ]);
    (redis, port)
}

fn server(url: String, ca_file: Option<PathBuf>) -> Server {
    let options = RedisOptions { url: Some(url), ca_file, ..RedisOptions::default() };
    Server::open(Endpoint::parse(&options).unwrap())
}

#[tokio::test]
async fn tls_with_the_right_authority_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let (_redis, port) = tls_server(dir.path());
    let ca = || Some(dir.path().join("ca.pem"));

    let tls = server(format!("rediss://127.0.0.1:{port}"), ca());
    let mut link = tls.link().await.unwrap();
    link.run(&cmd(&["SET", "k", "v"])).await.unwrap();
    assert_eq!(link.query::<String>(&cmd(&["GET", "k"])).await.unwrap(), "v");
    tls.blocking_link(std::time::Duration::from_secs(1)).await.unwrap().run(&cmd(&["PING"])).await.unwrap();

    // Not in the system's store; another name than in the certificate; no TLS at all.
    for (url, ca_file) in [
        (format!("rediss://127.0.0.1:{port}"), None),
        (format!("rediss://localhost:{port}"), ca()),
        (format!("redis://127.0.0.1:{port}"), None),
    ] {
        let failure = server(url.clone(), ca_file).link().await.unwrap_err();
        assert!(failure.is_unreachable() && !failure.may_have_happened(), "{url}: {failure}");
    }
}

#[tokio::test]
async fn an_authority_that_was_replaced_is_read_again_when_the_server_is_not_trusted() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(old.path());
    certificates(new.path());
    let (_redis, port) = tls_server(new.path());
    let ca_file = old.path().join("ca.pem");
    let tls = server(format!("rediss://127.0.0.1:{port}"), Some(ca_file.clone()));
    let failure = tls.link().await.unwrap_err();
    assert!(failure.is_unreachable(), "{failure}");
    std::fs::remove_file(&ca_file).unwrap();
    let failure = tls.link().await.unwrap_err();
    assert!(failure.to_string().contains("ca.pem"), "it names the file that is gone: {failure}");
    std::fs::copy(new.path().join("ca.pem"), &ca_file).unwrap();
    let mut link = tls.link().await.unwrap();
    link.run(&cmd(&["PING"])).await.unwrap();
    tls.blocking_link(std::time::Duration::from_secs(1)).await.unwrap().run(&cmd(&["PING"])).await.unwrap();
    assert!(!tls.reload().unwrap(), "there is nothing new in it");
}
