//! Schedulers that react to changes: the shell around the state machines of `toolpost_core::schedule`.

mod single_branch;

pub(crate) use single_branch::{SingleBranchActor, prepare};
