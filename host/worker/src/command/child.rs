//! What a process does between its birth and its program: moves into a control group, becomes somebody else.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::user::User;

/// Without either, nothing is done, so that the standard library need not fork.
#[expect(
    unsafe_code,
    reason = "the standard library has no control groups, and takes all groups but one away from other users"
)]
pub(super) fn begin_in(command: &mut Command, entrance: Option<File>, user: Option<&User>) {
    if entrance.is_none() && user.is_none() {
        return;
    }
    let become_user = user.map(User::change);
    let begin = move || {
        if let Some(entrance) = &entrance {
            rustix::io::write(entrance, b"0")?;
        }
        match &become_user {
            Some(become_user) => become_user(),
            None => Ok(()),
        }
    };
    // SAFETY: between fork and exec, with one thread only, the closure writes a byte and calls `setgid` and `setuid`, which are
    // safe there, as the standard library calls them. It allocates nothing and takes no lock.
    unsafe { command.pre_exec(begin) };
}
