//! `[[reporter]]`.

use crate::decode::{HumanDuration, OneOrMany, raw_table, raw_words};
use crate::tree::At;

raw_table! {
    /// Who is told what happens. Keys that are not listed here are parameters of the reporter type.
    RawReporter("a reporter") {
        /// Unique name. A reporter that gets another name is a new one, which tells of what happens from then on.
        name ! String,
        /// The reporter type: one that a plugin exports.
        r#use ! String,
        /// What it tells. Default: "build-finished".
        events ? OneOrMany<ReporterEvent>,
        /// Only what is of these builders. Default: all.
        builders ? Vec<At<String>>,
        /// Only what is of builders with one of these tags. Default: all.
        tags ? Vec<At<String>>,
        /// Only what these schedulers asked for. Default: all.
        schedulers ? Vec<At<String>>,
        /// Only what is built from these branches; "" for the default branch. Default: all.
        branches ? Vec<At<String>>,
        /// Of builds and build sets that ended, only those that ended like this; "change" is another result than the
        /// build before, "problem" a failure after a build that did not fail. Default: "all".
        results ? OneOrMany<ReportedResults>,
        /// How often and how far apart something is tried that cannot be told.
        retry ? RawRetry,
        /// How much it tells at one time; what is about the same build is told in order. Default: 4.
        parallel ? u32,
        .. parameters
    }
}

raw_table! {
    /// How often and how far apart something is tried.
    RawRetry("`retry`") {
        /// Tries until it is put aside for a person to look at. Default: 20.
        attempts ? u32,
        /// The wait after the first try; twice as long after each further one. Default: 5 s.
        first_wait ? HumanDuration,
        /// The longest wait. Default: 1 h.
        longest_wait ? HumanDuration,
    }
}

raw_words! {
    /// Something that happens.
    ReporterEvent {
        "request-added" => RequestAdded,
        "build-started" => BuildStarted,
        "build-finished" => BuildFinished,
        "buildset-complete" => BuildsetComplete,
        "worker-lost" => WorkerLost,
        "worker-found" => WorkerFound,
        "worker-missing" => WorkerMissing,
        "worker-back" => WorkerBack,
    }
}

raw_words! {
    /// How something ended.
    ReportedResults {
        "all" => All,
        "change" => Change,
        "failing" => Failing,
        "passing" => Passing,
        "problem" => Problem,
        "warnings" => Warnings,
        "exception" => Exception,
        "cancelled" => Cancelled,
    }
}
