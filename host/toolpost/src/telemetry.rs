//! Log records on standard error: for people on a terminal, as JSON for collectors.

use tracing_subscriber::EnvFilter;

use crate::output::Printer;

/// Levels when `TOOLPOST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info,cranelift_codegen=warn,wasmtime=warn,sqlx=warn,hyper=warn";

/// Starts log records for the rest of the process.
///
/// # Errors
/// When `TOOLPOST_LOG` is not a filter.
pub(crate) fn start(json: bool, printer: Printer) -> anyhow::Result<()> {
    let filter = match std::env::var("TOOLPOST_LOG") {
        Ok(filter) => EnvFilter::try_new(&filter)
            .map_err(|e| anyhow::anyhow!("TOOLPOST_LOG=`{filter}` is not a filter: {e}"))?,
        Err(_) => EnvFilter::new(DEFAULT_FILTER),
    };
    let records = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(printer.coloured_errors())
        .with_target(false);
    if json {
        records.json().init();
    } else {
        records.init();
    }
    Ok(())
}
