//! Measures Toolpost against its targets and against what Buildbot 4.3.0 did on a machine of this kind.
//!
//! Each group starts the release build of the program in a folder of its own and acts through the REST
//! API, as users do; what has no outside (distribution, the call of a plugin) is called directly.
//! Figures of one run on a shared machine are noisy: quote ratios.

mod api;
mod author;
mod builds;
mod farms;
mod hostile;
mod load;
mod logs;
mod micro;
mod plugins;
mod sandbox;
mod startup;
mod storm;
mod table;
mod workers;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use table::Row;

/// Measures Toolpost and prints a table.
#[derive(Debug, Parser)]
struct Args {
    /// Measure only these groups: builds, logs, api, startup, plugins, hostile, storm, workers, micro.
    groups: Vec<String>,
    /// Write the figures here as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The program to measure.
    #[arg(long, value_name = "FILE")]
    toolpost: Option<PathBuf>,
    /// A tenth of the load: to try the benchmark itself.
    #[arg(long)]
    quick: bool,
    /// Of the hostile set, of what is asked on a large database, and of the crowds of workers, only what has this in its name;
    /// may be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
}

/// What is measured, in this order.
const GROUPS: [&str; 9] = [
    "builds", "logs", "api", "startup", "plugins", "hostile", "storm", "workers", "micro",
];

/// What the groups are given.
struct Bench {
    toolpost: PathBuf,
    quick: bool,
    only: Vec<String>,
}

impl Bench {
    /// `count`, or a tenth of it in a quick run.
    fn scaled(&self, count: usize) -> usize {
        if self.quick { count / 10 } else { count }
    }

    /// Whether something of this name is to be measured.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let toolpost = match args.toolpost {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("toolpost"),
    };
    let bench = Bench {
        toolpost,
        quick: args.quick,
        only: args.only,
    };
    let mut rows: Vec<Row> = Vec::new();
    let wanted = |group: &str| args.groups.is_empty() || args.groups.iter().any(|g| g == group);
    for group in GROUPS {
        if !wanted(group) {
            continue;
        }
        eprintln!("measuring {group} ...");
        let measured = match group {
            "builds" => builds::measure(&bench).await,
            "logs" => logs::measure(&bench).await,
            "api" => api::measure(&bench).await,
            "startup" => startup::measure(&bench).await,
            "plugins" => plugins::measure(&bench).await,
            "hostile" => hostile::measure(&bench).await,
            "storm" => storm::measure(&bench).await,
            "workers" => workers::measure(&bench).await,
            _ => micro::measure(&bench).await,
        };
        rows.extend(measured.with_context(|| format!("measure {group}"))?);
    }
    print(&table::render(&rows));
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&table::to_json(&rows))?;
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "tables are what the program is for")]
fn print(table: &str) {
    println!("{table}");
}
