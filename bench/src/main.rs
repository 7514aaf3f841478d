//! `make bench`: Tollgate against the limit of its own Redis, measured side by side in one run.
//!
//! Every section starts private servers of its own and measures ours and the limit in turn, several rounds, so
//! that what else the machine does meets both alike; a ratio is the median of the rounds' ratios. Relies on the
//! release binaries beside its own. Must not touch any Redis that it did not start.

mod bank;
mod cost;
mod delay;
mod fixture;
mod limit;
mod machine;
mod ours;
mod private;
mod process;
mod report;
mod scale;
mod sections;
mod talk;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::report::Report;
use crate::scale::Scale;
use crate::sections::Section;
use crate::talk::talk;

/// Measures Tollgate and prints ratios to the limit of the same Redis.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Which sections to run; without any, all but `instructions`, `peers`, `idle` and `partitions`.
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// A tenth of the jobs, in fewer rounds: shows that it works; the figures are not for quoting.
    #[arg(long)]
    quick: bool,
    /// How often ours and the limit are measured, one after the other [default: 5; 2 with --quick].
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Print the tables as Markdown, as docs/benchmarks.md has them.
    #[arg(long)]
    markdown: bool,
}

fn main() -> Result<ExitCode> {
    let args: Args = tollgate_cli::parse();
    let scale = Scale::new(args.quick, args.rounds);
    let sections = if args.sections.is_empty() { Section::PUBLISHED.to_vec() } else { args.sections };
    let mut report = Report::new(machine::describe(scale)?);
    for section in sections {
        talk!("== {}", section.title());
        report.add(section.title(), section.run(scale)?);
    }
    let text = if args.markdown { report.markdown() } else { report.text() };
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
    if report.is_worse() {
        talk!("FAIL: more than 3 % worse than bench/instructions.txt has it");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
