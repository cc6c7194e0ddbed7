//! `cargo xtask chaos`: long runs of the tests that kill masters, cut connections, listen to events and move large files.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{children, paths, plugins, setup, ui};

/// What to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to run; everything if nothing is named
    #[arg(value_enum)]
    what: Vec<What>,
    /// How often a master is killed
    #[arg(long, default_value_t = 30)]
    kills: u32,
    /// How many changes come in meanwhile
    #[arg(long, default_value_t = 2_000)]
    changes: u32,
    /// How long the connection of a worker is away, in seconds
    #[arg(long, default_value_t = 30)]
    cut_s: u32,
    /// How long who listens to events is away, in seconds
    #[arg(long, default_value_t = 60)]
    away_s: u32,
    /// How many builds run meanwhile, at least
    #[arg(long, default_value_t = 1_200)]
    builds: u32,
    /// The size of a large file, in MiB
    #[arg(long, default_value_t = 2_048)]
    file_mib: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// A master is killed while changes are scheduled, built and reported
    Kills,
    /// The connection of a worker is cut in each step of a build
    Cuts,
    /// Who listens to events is cut off while builds run
    Events,
    /// A large file goes from a worker to the master and back
    Files,
}

impl What {
    const ALL: [Self; 4] = [Self::Kills, Self::Cuts, Self::Events, Self::Files];

    /// The tests, by the beginning of their names; they say there what has to hold.
    fn tests(self) -> &'static str {
        match self {
            Self::Kills => "kills::",
            Self::Cuts => "cuts::",
            Self::Events => "events::",
            Self::Files => "large_files::",
        }
    }
}

/// Builds what is needed and runs the tests, one after the other.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let what = match &*arguments.what {
        [] => &What::ALL,
        some => some,
    };
    let installed = setup::everything()?;
    let plugins = plugins::build()?;
    ui::heading("chaos");
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.current_dir(paths::root())
        .args(["test", "--package", "toolpost", "--test", "e2e", "--"])
        .args(["--nocapture", "--test-threads", "1"])
        .args(what.iter().map(|what| what.tests()))
        .env("TOOLPOST_TEST_PLUGINS", plugins)
        .env("TOOLPOST_TEST_BUILDBOT_WORKER", installed.buildbot_worker)
        .env("TOOLPOST_TEST_KILLS", arguments.kills.to_string())
        .env("TOOLPOST_TEST_CHANGES", arguments.changes.to_string())
        .env("TOOLPOST_TEST_CUT_S", arguments.cut_s.to_string())
        .env("TOOLPOST_TEST_AWAY_S", arguments.away_s.to_string())
        .env("TOOLPOST_TEST_AWAY_BUILDS", arguments.builds.to_string())
        .env("TOOLPOST_TEST_FILE_MIB", arguments.file_mib.to_string());
    ensure!(children::status(&mut test)?.success(), "the run failed");
    Ok(())
}
