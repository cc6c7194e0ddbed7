//! A plugin for tests, with one step type, `script`: does what its parameters say, one thing after the other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toolpost_sdk::{
    BuildOf, Capability, Context, Error, Level, Outcome, Running, Step, TestResult,
};

/// What to do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    actions: Vec<Action>,
}

/// One thing to do. Texts may have `{{ secret.NAME }}` in them, as all parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Action {
    /// Runs a program to its end, with its output in a log. It must succeed.
    Run {
        argv: Vec<String>,
        #[serde(default)]
        env: BTreeMap<String, String>,
        #[serde(default = "stdio")]
        log: String,
    },
    /// Starts lines of shell and does not wait, with their output in a log.
    Start {
        shell: Vec<String>,
        log: Option<String>,
    },
    /// Waits for what was started.
    Wait,
    /// Crashes with this text, but for the time that the file is there already: then it goes on.
    TrapOnce { file: String, text: String },
    /// Crashes with what is in a file of the worker.
    TrapWithFile { file: String },
    /// Writes a text log and finishes it.
    Log { name: String, text: String },
    /// Writes what is in a file of the worker to a text log, in pieces.
    LogFile {
        name: String,
        file: String,
        piece: usize,
    },
    /// Makes a set of one test result, and completes it.
    TestSet {
        description: String,
        is_complete: bool,
    },
    /// Sets everything that can be set to what is in a file of the worker.
    TellFile { file: String },
    /// Sends a request; what comes back is in a log.
    Http {
        url: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: Option<String>,
    },
    /// Sends mail so many times.
    Mail { text: String, times: u32 },
    /// Tells the operator.
    Say { text: String, times: u32 },
    /// Keeps a file of the worker.
    Upload { file: String, name: String },
    /// Fetches an artifact of another build.
    Download {
        builder: String,
        number: u64,
        name: String,
    },
    /// Does things with files of the worker; what comes of each is a line of the log `files`.
    Files { work: Vec<FileWork> },
}

/// What can be done with files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum FileWork {
    Stat(String),
    Mkdir(String),
    Remove(String),
    RemoveAll(String),
    Glob(String),
    /// Reads a file of at most a few bytes.
    Read(String),
    /// A path and a text.
    Write(String, String),
    /// A path and a text.
    Append(String, String),
}

fn stdio() -> String {
    "stdio".to_owned()
}

/// What one read of a file gives.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What is read of a file to be shown in a line.
const SHOWN_BYTES_MAX: u64 = 64;

struct Script;

impl Step for Script {
    const NAME: &'static str = "script";
    const SUMMARY: &'static str = "Does what a test tells it to do.";
    type Parameters = Parameters;

    fn run(parameters: Parameters, ctx: &Context) -> Result<Outcome, Error> {
        let mut started = Vec::new();
        for action in parameters.actions {
            act(action, ctx, &mut started)?;
        }
        Ok(Outcome::success("done"))
    }
}

fn act(action: Action, ctx: &Context, started: &mut Vec<Running>) -> Result<(), Error> {
    match action {
        Action::Run { argv, env, log } => {
            let mut command = ctx.argv(argv).log(log);
            for (name, value) in env {
                command = command.env(name, value);
            }
            let exit = command.run()?;
            if !exit.is_success() {
                return Err(Error::permanent(format!("it ended with {}", exit.status)));
            }
        }
        Action::Start { shell, log } => {
            for line in shell {
                let command = ctx.shell(line);
                let command = match &log {
                    Some(log) => command.log(log),
                    None => command,
                };
                started.push(command.start()?);
            }
        }
        Action::Wait => {
            for running in started.drain(..) {
                running.wait()?;
            }
        }
        Action::TrapOnce { file, text } => {
            if !ctx.files().exists(&file)? {
                ctx.files().write(&file, "")?;
                panic!("{text}");
            }
        }
        Action::TrapWithFile { file } => {
            let text = ctx.files().read_text(&file, FILE_BYTES_MAX)?;
            panic!("it was {text}");
        }
        Action::Log { name, text } => {
            let mut log = ctx.text_log(&name)?;
            log.write_fmt(format_args!("{text}\n"))?;
            log.finish()?;
        }
        Action::LogFile { name, file, piece } => {
            let bytes = ctx.files().read(&file, FILE_BYTES_MAX)?;
            let mut log = ctx.stdio_log(&name)?;
            for bytes in bytes.chunks(piece.max(1)) {
                log.append(toolpost_sdk::LogStream::Stdout, bytes)?;
                log.flush()?;
            }
        }
        Action::TestSet {
            description,
            is_complete,
        } => {
            let mut set = ctx.test_results(&description, "pass_fail", "boolean")?;
            set.add(TestResult::named("one", "1"))?;
            if is_complete {
                set.complete(Some(1), Some(0))?;
            }
        }
        Action::TellFile { file } => tell(&ctx.files().read_text(&file, FILE_BYTES_MAX)?, ctx)?,
        Action::Http { url, headers, body } => {
            let mut request = match &body {
                Some(_) => ctx.http().post(url),
                None => ctx.http().get(url),
            };
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let response = request.body(body.unwrap_or_default()).send()?;
            let mut log = ctx.text_log("response")?;
            log.write_fmt(format_args!("{}\n{}\n", response.status, response.text()))?;
        }
        Action::Mail { text, times } => {
            for number in 0..times {
                let mail = ctx.mail("subject").to("somebody@example.org");
                mail.text(&text).send(&number.to_string())?;
            }
        }
        Action::Say { text, times } => {
            for _ in 0..times {
                ctx.log(Level::Info, &text);
            }
        }
        Action::Upload { file, name } => drop(ctx.artifacts().upload(&file, &name)?),
        Action::Download {
            builder,
            number,
            name,
        } => {
            let build = BuildOf::Other(builder, number);
            ctx.artifacts().download(&build, &name, "downloaded")?;
        }
        Action::Files { work } => {
            let mut log = ctx.text_log("files")?;
            for work in work {
                log.write_fmt(format_args!("{}\n", file_work(work, ctx)?))?;
            }
        }
    }
    Ok(())
}

/// Does one thing with files and says what came of it.
fn file_work(work: FileWork, ctx: &Context) -> Result<String, Error> {
    let files = ctx.files();
    Ok(match work {
        FileWork::Stat(path) => {
            let stat = files.stat(&path)?;
            format!("{path} is a {:?} of {} bytes", stat.kind, stat.size)
        }
        FileWork::Mkdir(path) => {
            files.mkdir(&path)?;
            format!("{path} is made")
        }
        FileWork::Remove(path) => {
            files.remove(&path)?;
            format!("{path} is removed")
        }
        FileWork::RemoveAll(path) => {
            files.remove_all(&path)?;
            format!("{path} is removed with all in it")
        }
        FileWork::Glob(pattern) => format!("{pattern} is {:?}", files.glob(&pattern)?),
        FileWork::Read(path) => {
            format!(
                "{path} holds {:?}",
                files.read_text(&path, SHOWN_BYTES_MAX)?
            )
        }
        FileWork::Write(path, text) => {
            files.write(&path, text)?;
            format!("{path} is written")
        }
        FileWork::Append(path, text) => {
            files.append(&path, text)?;
            format!("{path} is longer")
        }
    })
}

/// Says a text wherever a plugin can say something.
fn tell(text: &str, ctx: &Context) -> Result<(), Error> {
    ctx.set_summary(text);
    ctx.set_property("told", text)?;
    ctx.add_url(text, &format!("https://example.org/{text}"))?;
    ctx.set_build_data("told", text.as_bytes())?;
    let mut set = ctx.test_results(text, text, text)?;
    set.add(TestResult::named(text, text).place(text, 1))?;
    set.complete(Some(1), Some(0))?;
    ctx.log(Level::Warn, text);
    eprintln!("{text}");
    let mut log = ctx.html_log("told.html")?;
    log.write_fmt(format_args!("<p>{text}</p>"))?;
    log.finish()
}

toolpost_sdk::plugin! {
    steps: [Script],
    wants: [
        Capability::HttpHost("*".into()),
        Capability::Secret("*".into()),
        Capability::Mail,
    ],
}
