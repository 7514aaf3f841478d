//! One variable decides which server is started, and which redis-cli asks it.

use crate::source::{read, tree};

#[test]
fn no_server_is_started_by_its_name() {
    let tree = tree();
    let files: Vec<&String> = tree.iter().filter(|path| path.ends_with(".rs")).collect();
    assert!(files.len() > 300, "{} files", files.len());
    for path in files {
        let text = read(path);
        let started =
            text.split("Command::new(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
        for name in started.filter_map(|rest| rest.split('"').next()) {
            let is_server = ["redis", "valkey"].iter().any(|family| name.starts_with(family));
            let may = name.ends_with("-benchmark");
            assert!(
                !is_server || may,
                "{path}: {name}: tollgate_testkit::servers has the one that is chosen"
            );
        }
    }
}
