//! The chores of the project, as `cargo xtask COMMAND`.
//!
//! A chore does its own set-up, so that a fresh clone needs nothing but a Rust toolchain; what it
//! starts it also stops, however it ends. Nothing here is part of the product.

mod bench;
mod chaos;
mod children;
mod contract;
mod demo;
mod fuzz;
mod paths;
mod plugins;
mod services;
mod setup;
mod test;
mod ui;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Chores of the Toolpost project.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Installs what the tests need (as root on Debian; elsewhere says what is missing)
    Setup,
    /// Builds the first-party plugins into target/plugins
    Plugins,
    /// Sets everything up and runs all tests, of the host and of the plugins
    Test {
        /// Arguments for `cargo nextest run` (or `cargo test`) of the host, such as a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Sets everything up and runs Toolpost on this project's own history, then serves until Ctrl-C
    Demo {
        /// End after the first build, with exit code 0 if it was good
        #[arg(long)]
        once: bool,
    },
    /// Measures a release build and prints a table; target/bench.json has it for machines
    Bench {
        /// Arguments for the benchmarks: names of groups, --quick
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Kills masters, cuts connections and moves large files for long, and checks that nothing was lost
    Chaos(chaos::Arguments),
    /// Says to both ends of the worker protocol what nobody thought of, and prints how much was tried
    Fuzz {
        /// For how long
        #[arg(long, default_value_t = 300)]
        seconds: u64,
    },
    /// Fails when a released version of the plugin contract was changed
    Contract {
        /// Release a version, such as toolpost-plugin-1.0: it may not change from now on
        #[arg(long, value_name = "VERSION")]
        freeze: Option<String>,
    },
    /// Starts a private PostgreSQL and Redis, prints their addresses, and runs until Ctrl-C
    Services,
}

fn main() -> ExitCode {
    let chore = Cli::parse().chore;
    let done = children::stop_on_signals().and_then(|()| match chore {
        Chore::Setup => setup::everything().map(drop),
        Chore::Plugins => plugins::build().map(drop),
        Chore::Test { arguments } => test::run(&arguments),
        Chore::Demo { once } => demo::run(once),
        Chore::Bench { arguments } => bench::run(&arguments),
        Chore::Chaos(arguments) => chaos::run(&arguments),
        Chore::Fuzz { seconds } => fuzz::run(seconds),
        Chore::Contract { freeze: None } => contract::check(),
        Chore::Contract {
            freeze: Some(version),
        } => contract::freeze(&version),
        Chore::Services => services::serve(),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::failed(&error);
            ExitCode::FAILURE
        }
    }
}
