//! What `tollgate-chaos compose` says where nothing can be run, and what its image says of itself. The runs themselves
//! need an engine: `scripts/ci-compose.sh` plays them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where only these programs are found.
fn promises(path: &Path, dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
    command.args(["compose", "promises"]).current_dir(dir).env("PATH", path).env_remove("TOLLGATE_COMPOSE");
    command.output().unwrap()
}

fn program(dir: &Path, name: &str, script: &str) {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_an_engine_it_says_so_and_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let none = promises(dir.path(), Path::new(ROOT));
    assert_eq!(none.status.code(), Some(4));
    assert!(words(&none).contains("no containers can be run here"), "{}", words(&none));
    assert!(words(&none).contains("apt-get install docker.io docker-compose iptables"), "{}", words(&none));

    program(dir.path(), "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    let dead = promises(dir.path(), Path::new(ROOT));
    assert_eq!(dead.status.code(), Some(4));
    assert!(words(&dead).contains("Cannot connect to the Docker daemon"), "{}", words(&dead));
    assert!(words(&dead).contains("dockerd"), "{}", words(&dead));

    program(dir.path(), "docker", "[ \"$1\" = version ] && echo 20.10.24");
    let alone = promises(dir.path(), Path::new(ROOT));
    assert_eq!(alone.status.code(), Some(4));
    assert!(words(&alone).contains("neither `docker compose` nor docker-compose"), "{}", words(&alone));
}

#[test]
fn elsewhere_it_says_where_it_belongs() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "docker", "echo 20.10.24");
    let elsewhere = promises(dir.path(), dir.path());
    assert_eq!(elsewhere.status.code(), Some(4));
    assert!(words(&elsewhere).contains("there is no docker-compose.yml in"), "{}", words(&elsewhere));
}

#[test]
fn the_image_has_the_version_of_the_programs() {
    let dockerfile = std::fs::read_to_string(format!("{ROOT}/Dockerfile")).unwrap();
    let version = dockerfile.lines().find_map(|line| line.strip_prefix("ARG VERSION="));
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
}
