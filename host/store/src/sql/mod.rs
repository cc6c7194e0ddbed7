//! A thin layer over both databases.
