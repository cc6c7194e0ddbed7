//! Toolpost.
