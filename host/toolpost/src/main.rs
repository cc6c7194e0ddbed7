//! The program `toolpost`: reads the command line, does it, and turns what happened into an exit code.

mod app;
mod cli;
mod commands;
mod components;
mod output;
mod records;
mod service;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command, PluginCommand, TokenCommand};
use output::Printer;

/// Allocates from per-thread pools: builds make many small strings on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(cli.color);
    let done = match &cli.command {
        Command::Run(args) => commands::run(args, printer),
        Command::Worker(args) => commands::worker(args, printer),
        Command::Check(args) => commands::check(args, printer),
        Command::Plan(args) => commands::plan(args, printer),
        Command::HashPassword => commands::hash_password(printer),
        Command::Token(TokenCommand::Create {
            name,
            scope,
            builders,
            days,
            no_end,
            login,
        }) => {
            let days = (!no_end).then_some(*days);
            commands::token_create(login, name, scope, builders, days, printer)
        }
        Command::Token(TokenCommand::List { json, login }) => {
            commands::token_list(login, *json, printer)
        }
        Command::Token(TokenCommand::Revoke { id, login }) => {
            commands::token_revoke(login, *id, printer)
        }
        Command::Schema(args) => commands::schema(args, printer),
        Command::Plugin(PluginCommand::New(args)) => commands::plugin_new(args, printer),
        Command::Plugin(PluginCommand::Build { path, output }) => {
            commands::plugin_build(path, output.as_deref(), printer)
        }
        Command::Plugin(PluginCommand::Inspect {
            path,
            config,
            schema,
            json,
        }) => {
            let shown = commands::Shown {
                schema: *schema,
                json: *json,
            };
            commands::plugin_inspect(path, config.as_deref(), shown, printer)
        }
        Command::Plugin(PluginCommand::List { master, json }) => {
            commands::plugin_list(&master.url, *json, printer)
        }
        Command::Plugin(PluginCommand::History { name, master, json }) => {
            commands::plugin_history(&master.url, name, *json, printer)
        }
        Command::Plugin(PluginCommand::Reload { master, json }) => {
            commands::plugin_reload(&master.url, *json, printer)
        }
        Command::Plugin(PluginCommand::Dev(args)) => commands::plugin_dev(args, printer),
        Command::Plugin(PluginCommand::Test(args)) => commands::plugin_test(args, printer),
        Command::Plugin(PluginCommand::Replay(args)) => commands::plugin_replay(args, printer),
        Command::Plugin(PluginCommand::Rollback {
            name,
            digest,
            reason,
            master,
        }) => commands::plugin_rollback(&master.url, name, digest, reason.as_deref(), printer),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit_code()
        }
    }
}
