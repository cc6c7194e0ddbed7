//! Toolpost.
fn main() {}
