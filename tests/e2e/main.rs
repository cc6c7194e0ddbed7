//! End-to-end tests: the real binary, real processes, real HTTP.
