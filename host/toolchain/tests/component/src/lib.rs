//! Exports nothing.
