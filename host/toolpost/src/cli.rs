//! The command line: what can be said, and the help that explains it. Does nothing itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toolpost_toolchain::{Kind, Language};

use crate::components::CACHE_VARIABLE;

/// A build master whose steps are sandboxed WebAssembly plugins, swapped while it runs.
#[derive(Debug, Parser)]
#[command(
    name = "toolpost",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 it worked, 1 it did not, 2 the command line or configuration is wrong."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to colour what is printed.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On terminals, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the master until SIGINT or SIGTERM.
    Run(RunArgs),
    /// Run a worker, which does on this machine what a master says, until SIGINT or SIGTERM.
    Worker(Box<WorkerArgs>),
    /// Check a configuration, with the plugins it uses, and say what is wrong with it.
    Check(ConfigArgs),
    /// Say what applying a configuration would change, compared with what was applied last.
    Plan(PlanArgs),
    /// Print the JSON Schema of the configuration, for editors.
    Schema(ConfigArgs),
    /// Read a password from standard input and print a hash of it, for the `password_hash` of a worker or a user.
    HashPassword,
    /// Make, list and revoke tokens, with which programs act for you at a master.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make, build and look at plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file, or a folder with toolpost.toml in it; conf.d/*.toml beside it is read too.
    #[arg(
        value_name = "CONFIG",
        default_value = "toolpost.toml",
        env = "TOOLPOST_CONFIG"
    )]
    pub(crate) config: PathBuf,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Listen here instead of at the configured address; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Keep compiled plugins in this folder instead of beside the records; masters may share it. Nobody else may write there.
    #[arg(long, value_name = "DIR", env = CACHE_VARIABLE)]
    pub(crate) plugin_cache: Option<PathBuf>,
    /// Print log records as JSON, one a line.
    #[arg(long)]
    pub(crate) log_json: bool,
}

/// Arguments of `worker`. What is not said here is looked up in the file of `--config`.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Settings in TOML, by the names of these options with `_` for `-`.
    #[arg(long, value_name = "FILE", env = "TOOLPOST_WORKER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address of the master: ws://HOST:PORT, wss://HOST:PORT for TLS, or HOST:PORT.
    #[arg(long, value_name = "URL")]
    pub(crate) master: Option<String>,
    /// Name of this worker, as the master knows it.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// File with the password; without it and without `password_env`, it is in TOOLPOST_WORKER_PASSWORD.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Directory beneath which the builds are; made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) basedir: Option<PathBuf>,
    /// Who looks after this machine, such as "Ada <ada@example.org>".
    #[arg(long, value_name = "TEXT")]
    pub(crate) admin: Option<String>,
    /// What else people and builds are to know about it; may be given several times.
    #[arg(long, value_name = "NAME=TEXT", value_parser = name_and_text)]
    pub(crate) info: Vec<(String, String)>,
    /// Longest wait between two tries to connect [default: 5m].
    #[arg(long, value_name = "TIME")]
    pub(crate) max_delay: Option<String>,
    /// Ask the master whether it is still there after this long without a word [default: 60s].
    #[arg(long, value_name = "TIME")]
    pub(crate) keepalive: Option<String>,
    /// How long commands have to end when the worker stops [default: 10s].
    #[arg(long, value_name = "TIME")]
    pub(crate) stop_grace: Option<String>,
    /// Commands that run at one time; more wait [default: 100].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_commands: Option<usize>,
    /// What commands may say while there is no connection, all together, in MiB on disk [default: 1024].
    #[arg(long, value_name = "MIB")]
    pub(crate) spool_mib: Option<u32>,
    /// Memory that a command may have with all that descends from it, in MiB; needs control groups (Linux) [default: no limit].
    #[arg(long, value_name = "MIB")]
    pub(crate) memory_max_mib: Option<u32>,
    /// Processes and threads of a command; needs control groups (Linux) [default: no limit].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) processes_max: Option<u32>,
    /// Processors of a command, in hundredths of one; needs control groups (Linux) [default: no limit].
    #[arg(long, value_name = "PERCENT")]
    pub(crate) cpu_percent_max: Option<u32>,
    /// User as whom builds run; for a worker that runs as root, on Linux.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// With less than this free on the disk of the builds, in MiB, the master begins nothing new here [default: 256].
    #[arg(long, value_name = "MIB")]
    pub(crate) free_disk_min_mib: Option<u32>,
    /// Whether long messages to and from a Toolpost master are compressed [default: true].
    #[arg(long, value_name = "true|false")]
    pub(crate) compress: Option<bool>,
    /// Certificates of authorities that are trusted beside those of the system.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Certificate that this worker shows, where the master wants one.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Key of that certificate.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// Print log records as JSON, one a line.
    #[arg(long)]
    pub(crate) log_json: bool,
}

fn name_and_text(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some((name, text)) if !name.is_empty() => Ok((name.to_owned(), text.to_owned())),
        _ => Err("write NAME=TEXT".to_owned()),
    }
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the plan as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with tokens. Whoever makes, sees or revokes one logs in with name and password.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it. It is shown this once; a program sends it as `Authorization: Bearer TOKEN`.
    Create {
        /// What it is for.
        name: String,
        /// What may be done with it: `read`, `control` for all that makes the farm do something, or single
        /// actions such as `force`; may be given several times.
        #[arg(long, value_name = "SCOPE", default_value = "read")]
        scope: Vec<String>,
        /// Builders that it is good for: names, or patterns [default: all].
        #[arg(long = "builder", value_name = "BUILDER")]
        builders: Vec<String>,
        /// How long it is good.
        #[arg(
            long,
            value_name = "DAYS",
            default_value_t = 90,
            conflicts_with = "no_end"
        )]
        days: u32,
        /// Make one that is good until it is revoked.
        #[arg(long)]
        no_end: bool,
        /// Who you are, and at which master.
        #[command(flatten)]
        login: LoginArgs,
    },
    /// List your tokens; of everybody if you may manage them.
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
        /// Who you are, and at which master.
        #[command(flatten)]
        login: LoginArgs,
    },
    /// End a token at once.
    Revoke {
        /// Its number, as `toolpost token list` shows it.
        id: i64,
        /// Who you are, and at which master.
        #[command(flatten)]
        login: LoginArgs,
    },
}

/// Who somebody is at a running master.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Which master.
    #[command(flatten)]
    pub(crate) master: MasterArgs,
    /// Your name there. The password is in TOOLPOST_PASSWORD, or on standard input.
    #[arg(long, value_name = "NAME", env = "TOOLPOST_USER")]
    pub(crate) user: String,
}

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a new plugin in a folder of its name, with a test and a README.
    New(NewArgs),
    /// Build a plugin to a component, in whatever language it is; sets up what that takes where it can.
    Build {
        /// The plugin's folder.
        #[arg(default_value = ".", value_name = "DIR")]
        path: PathBuf,
        /// Put the component here too, for instance into the master's plugin folder.
        #[arg(long, short, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Run a plugin against scripts, or recordings of steps that failed: without a master, in a time of its own.
    Test(TestArgs),
    /// Watch a plugin: build it after each change, put it into a running master, and say what that makes of it.
    Dev(DevArgs),
    /// Load a component as the master would and print what it is: name, version, contract, size, digest, types with their
    /// parameters, and what it asks for.
    Inspect {
        /// The component, or a folder with components.
        path: PathBuf,
        /// Say also what a configuration grants to it, and whether its uses there fit.
        #[arg(long, value_name = "CONFIG")]
        config: Option<PathBuf>,
        /// Print the whole JSON Schema of each type's parameters.
        #[arg(long)]
        schema: bool,
        /// Print as JSON: an object, of a folder a list. Schemas are whole.
        #[arg(long)]
        json: bool,
    },
    /// List the plugins of a running master: versions, uses, and what went wrong with the last reload.
    List {
        /// Which master.
        #[command(flatten)]
        master: MasterArgs,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show every version of a plugin of a running master that was ever good, and what happened to it.
    History {
        /// Name of the plugin.
        name: String,
        /// Which master.
        #[command(flatten)]
        master: MasterArgs,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a running master look at its plugin directory now, also at files that it refused.
    Reload {
        /// Which master.
        #[command(flatten)]
        master: MasterArgs,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a failed step of a master again, here, on the answers that the master recorded.
    Replay(ReplayArgs),
    /// Make an earlier version of a plugin the live one; the file stays, and is taken again when it changes.
    Rollback {
        /// Name of the plugin.
        name: String,
        /// Digest of the version, or its first letters; `toolpost plugin history` shows them.
        digest: String,
        /// Why, for the history.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Which master.
        #[command(flatten)]
        master: MasterArgs,
    },
}

/// Arguments of `plugin test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The plugin's folder, which is built first, or a component.
    #[arg(default_value = ".", value_name = "DIR|FILE.wasm")]
    pub(crate) path: PathBuf,
    /// Scripts and recordings, or folders with some; of a plugin's folder those in `tests`.
    #[arg(long = "script", short, value_name = "FILE", num_args = 1..)]
    pub(crate) scripts: Vec<PathBuf>,
    /// Run only tests with this text in their names.
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Print what was seen also of tests that passed.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `plugin dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The plugin's folder.
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) path: PathBuf,
    /// The master's plugin folder.
    #[arg(long, short, value_name = "DIR", default_value = "plugins")]
    pub(crate) output: PathBuf,
    /// Run the scripts in `tests` first; a version that fails them does not reach the master.
    #[arg(long)]
    pub(crate) test: bool,
    /// Which master.
    #[command(flatten)]
    pub(crate) master: MasterArgs,
}

/// Arguments of `plugin replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The build: its id, or BUILDER/NUMBER.
    #[arg(required_unless_present = "recording")]
    pub(crate) build: Option<String>,
    /// The step: its number or its name.
    #[arg(required_unless_present = "recording")]
    pub(crate) step: Option<String>,
    /// Run this component instead of the one that was recorded.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Take a recording that was saved from the page of the build.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["build", "step"])]
    pub(crate) recording: Option<PathBuf>,
    /// Which master.
    #[command(flatten)]
    pub(crate) master: MasterArgs,
}

/// Which running master. Where people have to log in, a token of TOOLPOST_TOKEN is shown.
#[derive(Debug, Args)]
pub(crate) struct MasterArgs {
    /// Address of the master.
    #[arg(long, default_value = "http://127.0.0.1:8010/", env = "TOOLPOST_URL")]
    pub(crate) url: String,
}

/// Arguments of `plugin new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the plugin and its type: lower-case letters, digits and hyphens.
    pub(crate) name: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = PluginLanguage::Rust)]
    pub(crate) lang: PluginLanguage,
    /// What it brings.
    #[arg(long, value_enum, default_value_t = PluginKind::Step)]
    pub(crate) kind: PluginKind,
    /// Folder to make it in.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) path: PathBuf,
    /// Take the SDK from this folder instead of a released version.
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,
    /// The same for all languages: the folder `sdk` of a checkout of Toolpost.
    #[arg(
        long,
        value_name = "DIR",
        env = "TOOLPOST_SDKS",
        conflicts_with = "sdk"
    )]
    pub(crate) sdks: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PluginLanguage {
    /// Small and fast.
    Rust,
    /// With its standard library.
    Python,
    /// With the APIs of the web.
    #[value(alias = "javascript")]
    Js,
}

impl From<PluginLanguage> for Language {
    fn from(language: PluginLanguage) -> Self {
        match language {
            PluginLanguage::Rust => Self::Rust,
            PluginLanguage::Python => Self::Python,
            PluginLanguage::Js => Self::JavaScript,
        }
    }
}

/// What a plugin brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PluginKind {
    /// A step of builds.
    Step,
    /// What decides when what is built.
    Scheduler,
    /// What tells others about builds.
    Reporter,
}

impl From<PluginKind> for Kind {
    fn from(kind: PluginKind) -> Self {
        match kind {
            PluginKind::Step => Self::Step,
            PluginKind::Scheduler => Self::Scheduler,
            PluginKind::Reporter => Self::Reporter,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
