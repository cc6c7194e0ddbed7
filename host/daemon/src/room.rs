//! Whether there is room on the disk for builds.

use std::path::PathBuf;

use rustix::fs::statvfs;

/// Watches the disk that builds are on.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) dir: PathBuf,
    /// With less than this, nothing new is to begin. 0 for no limit.
    pub(crate) free_bytes_min: u64,
    /// Why nothing new is to begin.
    full: Option<String>,
}

impl Room {
    pub(crate) fn new(dir: PathBuf, free_bytes_min: u64) -> Self {
        Self {
            dir,
            free_bytes_min,
            full: None,
        }
    }

    /// Looks at the disk; why nothing new is to begin, if so. Blocks for a moment.
    pub(crate) fn look(&mut self) -> Option<&str> {
        if self.free_bytes_min > 0 {
            match statvfs(&self.dir) {
                Ok(disk) => self.judge(disk.f_bavail.saturating_mul(disk.f_frsize)),
                // What cannot be seen is told by those who need the room.
                Err(error) => {
                    tracing::warn!(
                        "the disk of {} cannot be looked at: {error}",
                        self.dir.display()
                    );
                }
            }
        }
        self.full.as_deref()
    }

    /// Goes on only with a tenth more, so that it does not go on and off.
    fn judge(&mut self, free_bytes: u64) {
        let least = self.free_bytes_min;
        let enough = match self.full {
            Some(_) => least.saturating_add(least / 10),
            None => least,
        };
        if free_bytes >= enough {
            if self.full.take().is_some() {
                tracing::info!("there is room on the disk again");
            }
            return;
        }
        if self.full.is_none() {
            let mib = |bytes: u64| bytes >> 20;
            let text = format!(
                "{} MiB are free on the disk of {}, and {} MiB are needed (`free_disk_min_mib`)",
                mib(free_bytes),
                self.dir.display(),
                mib(least)
            );
            tracing::warn!("{text}; the master is told");
            self.full = Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_until_there_is_some_more_room() {
        let mut room = Room::new("/srv/w".into(), 100 << 20);
        let mut after = |mib: u64| {
            room.judge(mib << 20);
            room.full.clone()
        };
        assert_eq!(after(100), None);
        let full = after(99).unwrap();
        assert!(
            full.starts_with("99 MiB are free on the disk of /srv/w"),
            "{full}"
        );
        // The text stays, so that it is told once.
        assert_eq!(after(50), Some(full.clone()));
        assert_eq!(after(109), Some(full));
        assert_eq!(after(110), None);
    }

    #[test]
    fn without_a_limit_nobody_looks() {
        assert_eq!(Room::new("/no/such/place".into(), 0).look(), None);
        let dir = tempfile::tempdir().unwrap();
        assert!(Room::new(dir.path().into(), u64::MAX).look().is_some());
        assert_eq!(Room::new(dir.path().into(), 1).look(), None);
    }
}
