//! The limits of one call of a plugin, each with its unit.

use std::time::Duration;

/// Limits of one call of an export. The defaults are those that the contract documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLimits {
    /// Time spent computing. Waiting for commands, files and pauses is free.
    pub cpu: Duration,
    /// Time from start to end, waiting included.
    pub wall: Duration,
    /// How long a cancelled call may go on to clean up.
    pub cancel_grace: Duration,
    /// All linear memories together, and what is in tables.
    pub memory_bytes_max: usize,
    /// Elements of one table.
    pub table_elements_max: usize,
    /// Core instances in the component.
    pub instances_max: usize,
    /// Lines for the operator, with standard output and standard error.
    pub log_bytes_max: u64,
    /// One line for the operator; the rest of the line is cut.
    pub log_line_bytes_max: usize,
    /// Everything appended to step logs by the plugin itself.
    pub step_log_bytes_max: u64,
    /// Logs of the step.
    pub step_logs_max: u32,
    /// Commands started in the call.
    pub commands_max: u32,
    /// Commands that run at the same time.
    pub commands_running_max: u32,
    /// Host resources (handles) that exist at the same time.
    pub handles_max: usize,
    /// What one call of a host function may carry.
    pub payload_bytes_max: usize,
    /// Text of a state string, a step's outcome, an error.
    pub text_bytes_max: usize,
    /// Name of a property.
    pub property_name_bytes_max: usize,
    /// Value of a property.
    pub property_value_bytes_max: usize,
    /// Links on the step.
    pub urls_max: u32,
    /// One link.
    pub url_bytes_max: usize,
    /// Matches of one `glob`.
    pub glob_matches_max: usize,
    /// Files that are uploaded.
    pub artifacts_max: u32,
    /// One such file.
    pub artifact_bytes_max: u64,
    /// All such files together.
    pub artifacts_bytes_max: u64,
    /// Requests for builds of other builders.
    pub triggers_max: u32,
    /// Builders of one such request.
    pub trigger_builders_max: usize,
    /// Messages that are sent.
    pub mails_max: u32,
    /// Values of the build that are set.
    pub build_data_max: u32,
    /// One such value.
    pub build_data_value_bytes_max: usize,
    /// All such values together.
    pub build_data_bytes_max: u64,
    /// Sets of test results.
    pub test_sets_max: u32,
    /// Test results of all sets.
    pub test_results_max: u64,
    /// Test results that are added at one time.
    pub test_result_batch_max: usize,
    /// Value of a test result; the rest is cut.
    pub test_value_bytes_max: usize,
    /// Key of a value that outlives the call.
    pub key_bytes_max: usize,
    /// One such value.
    pub value_bytes_max: usize,
    /// What one read of a log gives.
    pub log_read_bytes_max: usize,
    /// What a scheduler remembers, as JSON.
    pub state_bytes_max: usize,
    /// What a scheduler wants done at one time.
    pub actions_max: usize,
}

impl CallLimits {
    /// The limits of `scheduler.handle`.
    #[must_use]
    pub fn handle() -> Self {
        Self {
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(10),
            ..Self::default()
        }
    }

    /// The limits of `reporter.report`.
    #[must_use]
    pub fn report() -> Self {
        Self {
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(2 * 60),
            ..Self::default()
        }
    }

    /// The limits of `describe`.
    #[must_use]
    pub fn describe() -> Self {
        Self {
            cpu: Duration::from_millis(500),
            wall: Duration::from_secs(10),
            log_bytes_max: 64 << 10,
            ..Self::default()
        }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(24 * 60 * 60),
            cancel_grace: Duration::from_secs(10),
            memory_bytes_max: 64 << 20,
            table_elements_max: 64 << 10,
            instances_max: 64,
            log_bytes_max: 1 << 20,
            log_line_bytes_max: 4 << 10,
            step_log_bytes_max: 256 << 20,
            step_logs_max: 64,
            commands_max: 1_000,
            commands_running_max: 16,
            handles_max: 1_000,
            payload_bytes_max: 4 << 20,
            text_bytes_max: 1 << 10,
            property_name_bytes_max: 256,
            property_value_bytes_max: 64 << 10,
            urls_max: 100,
            url_bytes_max: 2 << 10,
            glob_matches_max: 10_000,
            artifacts_max: 1_000,
            artifact_bytes_max: 1 << 30,
            artifacts_bytes_max: 4 << 30,
            triggers_max: 100,
            trigger_builders_max: 100,
            mails_max: 20,
            build_data_max: 1_000,
            build_data_value_bytes_max: 1 << 20,
            build_data_bytes_max: 16 << 20,
            test_sets_max: 64,
            test_results_max: 200_000,
            test_result_batch_max: 10_000,
            test_value_bytes_max: 4 << 10,
            key_bytes_max: 256,
            value_bytes_max: 64 << 10,
            log_read_bytes_max: 1 << 20,
            state_bytes_max: 1 << 20,
            actions_max: 1_000,
        }
    }
}
