//! Somebody else as whom builds run, so that they can reach neither the worker nor what is its.
//!
//! Programs become that user before they begin. Files are worked on by threads of this process that have the user's rights on
//! files, and only those, for as long as they work: what the user may not read, a build does not get, whatever links
//! lie about.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) home: PathBuf,
}

/// Why builds cannot run as a user. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// Nobody has this name.
    #[error("there is no user `{0}` on this machine")]
    Unknown(String),
    /// The worker may not become anybody else.
    #[error(
        "only root may run builds as user `{0}`; start the worker as root, or as that user without `user`"
    )]
    NotRoot(String),
    /// This system is not Linux.
    #[error("builds can run as another user (`{0}`) on Linux only; start the worker as that user")]
    NotLinux(String),
    /// The system does not say who it is.
    #[error("user `{name}` cannot be looked up: {reason}")]
    System {
        /// The user.
        name: String,
        /// What the system says.
        reason: String,
    },
}

impl User {
    /// Makes a directory the user's.
    pub(crate) fn take_over(&self, dir: &Path) -> io::Result<()> {
        match dir.metadata()?.uid() == self.id {
            true => Ok(()),
            false => chown(dir, Some(self.id), Some(self.group)),
        }
    }

    /// What programs look up to learn who they are.
    pub(crate) fn environment(&self) -> [(OsString, OsString); 3] {
        [
            ("HOME".into(), self.home.clone().into()),
            ("USER".into(), self.name.clone().into()),
            ("LOGNAME".into(), self.name.clone().into()),
        ]
    }
}

#[cfg(not(target_os = "linux"))]
impl User {
    /// Looks a user up.
    ///
    /// # Errors
    /// Always: this is not Linux.
    pub fn named(name: &str) -> Result<Self, UserError> {
        Err(UserError::NotLinux(name.to_owned()))
    }

    pub(crate) fn change(&self) -> impl Fn() -> io::Result<()> + Send + Sync + use<> {
        || Ok(())
    }

    pub(crate) fn rights(&self) -> io::Result<Rights> {
        Ok(Rights)
    }
}

/// The rights of a user on files, of the thread that has it, until it is dropped.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Rights;

#[cfg(target_os = "linux")]
pub(crate) use linux::Rights;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::io;
    use std::marker::PhantomData;

    use nix::unistd::{
        self, Gid, Uid, getgrouplist, setfsgid, setfsuid, setgid, setgroups, setuid,
    };

    use super::{User, UserError};

    impl User {
        /// Looks a user up, and gives this process the user's groups instead of its own: root needs none.
        ///
        /// # Errors
        /// There is no such user, or this process may not become one.
        pub fn named(name: &str) -> Result<Self, UserError> {
            let failed = |reason: String| UserError::System {
                name: name.to_owned(),
                reason,
            };
            let found = unistd::User::from_name(name).map_err(|error| failed(error.to_string()))?;
            let found = found.ok_or_else(|| UserError::Unknown(name.to_owned()))?;
            if !unistd::geteuid().is_root() {
                return Err(UserError::NotRoot(name.to_owned()));
            }
            let text = CString::new(name).map_err(|error| failed(error.to_string()))?;
            let groups =
                getgrouplist(&text, found.gid).map_err(|error| failed(error.to_string()))?;
            setgroups(&groups).map_err(|error| failed(error.to_string()))?;
            Ok(Self {
                name: found.name,
                id: found.uid.as_raw(),
                group: found.gid.as_raw(),
                home: found.dir,
            })
        }

        /// Makes a process of one thread this user, for good; the groups it has already.
        pub(crate) fn change(&self) -> impl Fn() -> io::Result<()> + Send + Sync + use<> {
            let (id, group) = (Uid::from_raw(self.id), Gid::from_raw(self.group));
            move || {
                setgid(group)?;
                Ok(setuid(id)?)
            }
        }

        /// Takes the rights of this user on files, for this thread.
        ///
        /// # Errors
        /// The system refuses; then nothing has changed.
        pub(crate) fn rights(&self) -> io::Result<Rights> {
            let (id, group) = (Uid::from_raw(self.id), Gid::from_raw(self.group));
            let rights = Rights {
                _thread: PhantomData,
            };
            setfsgid(group);
            setfsuid(id);
            // They say nothing of a failure but what there was before; asking for the same again tells.
            if setfsuid(id) == id && setfsgid(group) == group {
                return Ok(rights);
            }
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    /// The rights of a user on files, of the thread that has it, until it is dropped.
    pub(crate) struct Rights {
        /// Stays on its thread.
        _thread: PhantomData<*const ()>,
    }

    impl Drop for Rights {
        fn drop(&mut self) {
            setfsuid(unistd::geteuid());
            setfsgid(unistd::getegid());
        }
    }
}
