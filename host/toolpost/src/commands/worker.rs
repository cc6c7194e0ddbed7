//! `toolpost worker`: a worker for this machine, until it is told to stop. SIGHUP lets it finish first.

use tokio::signal::unix::{SignalKind, signal};
use toolpost_daemon::{Orders, Settings, SettingsError, SettingsFile};
use tracing::{info, warn};

use super::Done;
use super::signals::{Signals, runtime};
use crate::cli::WorkerArgs;
use crate::output::{Failure, Printer};
use crate::{service, telemetry};

/// `toolpost worker`
pub(crate) fn worker(args: &WorkerArgs, printer: Printer) -> Done {
    let settings = settings(args).map_err(|error| Failure::Usage(error.to_string()))?;
    // Dropped last, so that the last records are written, too.
    let _records = telemetry::start(args.log_json, printer)?;
    let runtime = runtime("worker", || ())?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut hangups = signal(SignalKind::hangup())?;
        let orders = Orders::default();
        let running = toolpost_daemon::run(settings, orders.clone());
        tokio::pin!(running);
        let mut told_ready = false;
        loop {
            tokio::select! {
                done = &mut running => {
                    done?;
                    info!("stopped");
                    return Ok(());
                }
                () = orders.ready.cancelled(), if !told_ready => {
                    told_ready = true;
                    service::tell(service::READY);
                }
                _ = hangups.recv(), if !orders.leave.is_cancelled() => {
                    info!("stopping after SIGHUP, once nothing runs here that a Toolpost master knows of");
                    orders.leave.cancel();
                }
                name = signals.next() => {
                    if orders.stop.is_cancelled() {
                        // What still runs ends with the process.
                        warn!("{name} again: commands are killed");
                        return Ok(());
                    }
                    info!("stopping after {name}");
                    service::tell(service::STOPPING);
                    orders.stop.cancel();
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
        compress: args.compress,
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
