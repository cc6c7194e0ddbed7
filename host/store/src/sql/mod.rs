//! One way to talk to both databases: the same SQL text, the same argument and column types.
//!
//! Integers, flags and times are 64-bit integers in both; texts are UTF-8 without NUL. What differs between the
//! two is in this folder and in `migrate.rs`, and nowhere else, but for a few statements that say so.

mod connection;
mod row;
mod value;

pub(crate) use connection::{Backend, Connection};
pub(crate) use row::{Cells, Row};
pub(crate) use value::{Value, args, bind_postgres, bind_sqlite, json_ids};
