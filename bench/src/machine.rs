//! The head of a report: without the machine, the versions and the date a figure says nothing.

use anyhow::Result;

use crate::private::Private;
use crate::scale::Scale;

pub(crate) fn describe(scale: Scale) -> Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism()?.get();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = match arguments.as_slice() {
        [] => "make bench".to_owned(),
        arguments => format!("make bench BENCH='{}'", arguments.join(" ")),
    };
    Ok(vec![
        ("date", jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()),
        ("command", command),
        ("machine", format!("{}, {cores} cores, load {} at the start", processor(), load())),
        ("redis", format!("{}, unix socket, AOF everysec, no rewrites", Private::start()?.version()?)),
        ("tollgate", env!("CARGO_PKG_VERSION").to_owned()),
        (
            "rounds",
            format!("{} of ours and the limit in turn; medians, least and most in brackets", scale.rounds),
        ),
    ])
}

fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn load() -> String {
    let loadavg = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loadavg.split(' ').next().unwrap_or("unknown").to_owned()
}
