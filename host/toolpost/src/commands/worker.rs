//! `toolpost worker`: a worker for this machine, until it is told to stop.

use tokio_util::sync::CancellationToken;
use toolpost_daemon::{Settings, SettingsError, SettingsFile};
use tracing::{info, warn};

use super::Done;
use super::signals::{Signals, runtime};
use crate::cli::WorkerArgs;
use crate::output::{Failure, Printer};
use crate::telemetry;

/// `toolpost worker`
pub(crate) fn worker(args: &WorkerArgs, printer: Printer) -> Done {
    let settings = settings(args).map_err(|error| Failure::Usage(error.to_string()))?;
    // Dropped last, so that the last records are written, too.
    let _records = telemetry::start(args.log_json, printer)?;
    let runtime = runtime("worker")?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let stop = CancellationToken::new();
        let running = toolpost_daemon::run(settings, stop.clone());
        tokio::pin!(running);
        loop {
            tokio::select! {
                done = &mut running => {
                    done?;
                    info!("stopped");
                    return Ok(());
                }
                name = signals.next() => {
                    if stop.is_cancelled() {
                        // What still runs ends with the process.
                        warn!("{name} again: commands are killed");
                        return Ok(());
                    }
                    info!("stopping after {name}");
                    stop.cancel();
                }
            }
        }
    })
}

fn settings(args: &WorkerArgs) -> Result<Settings, SettingsError> {
    let line = SettingsFile {
        master: args.master.clone(),
        name: args.name.clone(),
        password_file: args.password_file.clone(),
        basedir: args.basedir.clone(),
        admin: args.admin.clone(),
        info: Some(args.info.iter().cloned().collect()),
        max_delay: args.max_delay.clone(),
        keepalive: args.keepalive.clone(),
        stop_grace: args.stop_grace.clone(),
        max_commands: args.max_commands,
        spool_mib: args.spool_mib,
        memory_max_mib: args.memory_max_mib,
        processes_max: args.processes_max,
        cpu_percent_max: args.cpu_percent_max,
        user: args.user.clone(),
        free_disk_min_mib: args.free_disk_min_mib,
        ca_file: args.ca_file.clone(),
        certificate: args.certificate.clone(),
        key: args.key.clone(),
        ..SettingsFile::default()
    };
    let file = match &args.config {
        Some(path) => SettingsFile::read(path)?,
        None => SettingsFile::default(),
    };
    line.or(file).check()
}
