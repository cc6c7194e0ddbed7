//! The writes, and the reads that are not plain lists, one file per kind of record.

pub(crate) mod builds;
pub(crate) mod buildsets;
pub(crate) mod changes;
pub(crate) mod configuration;
pub(crate) mod masters;
pub(crate) mod plugins;
pub(crate) mod requests;
pub(crate) mod schedulers;
pub(crate) mod state;
pub(crate) mod steps;
pub(crate) mod workers;
