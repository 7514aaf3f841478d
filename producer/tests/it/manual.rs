//! What the programs say of themselves: manual pages and what a shell completes by.

use std::path::Path;

use crate::harness::Cli;

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Cli::new().run(&["completions", shell]);
        assert!(ran.exits(0).contains("set-limit") && ran.stdout.contains("tollgate-producer"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    /// The lines of a page as they are read, without what only formats them.
    fn page(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap().replace('\\', "")
    }
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    Cli::new().run(&["man", pages.to_str().unwrap()]).exits(0);
    let help = Cli::new().run(&["--help"]);
    let commands = help.exits(0).lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 15 && commands.contains(&"man"), "{commands:?}");
    for command in commands.iter().filter(|name| **name != "help") {
        assert!(page(&pages, &format!("tollgate-producer-{command}.1")).contains("NAME"), "{command}");
    }
    let create = page(&pages, "tollgate-producer-campaign-create.1");
    assert!(
        create.contains("--per-customer") && create.contains("How many one customer may have"),
        "{create}"
    );

    let mut worker = Cli::new().worker_command(&["--man", pages.to_str().unwrap()]);
    assert!(worker.status().unwrap().success());
    assert!(page(&pages, "tollgate-worker.1").contains("--claim-idle"));
    let file = pages.join("tollgate-worker.1/x");
    Cli::new().run(&["man", file.to_str().unwrap()]).complains(1);
}
