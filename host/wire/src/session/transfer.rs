//! What a command that moves a file may say about it.

use crate::error::ProtocolError;
use crate::message::{Command, Request as _, ToMaster};

/// What a command moves. Sizes are in bytes, of one piece.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transfer {
    /// A file to the master, perhaps with its times.
    File { block: u64, times: bool },
    /// A directory to the master.
    Directory { block: u64 },
    /// A file to the worker.
    Download,
}

impl Transfer {
    pub(super) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::UploadFile(upload) => Some(Self::File {
                block: upload.block_size,
                times: upload.keep_stamp,
            }),
            Command::UploadDirectory(upload) => Some(Self::Directory {
                block: upload.block_size,
            }),
            Command::DownloadFile(_) => Some(Self::Download),
            _ => None,
        }
    }

    /// Whether this transfer has a use for it.
    pub(super) fn check(self, request: &ToMaster) -> Result<(), ProtocolError> {
        let (data, block) = match (self, request) {
            (Self::File { block, .. }, ToMaster::UploadFileWrite { data, .. })
            | (Self::Directory { block }, ToMaster::UploadDirectoryWrite { data, .. }) => {
                (data, block)
            }
            (Self::File { times: true, .. }, ToMaster::UploadFileTimes { .. })
            // A stock worker ends a directory that it cannot read as it does a file.
            | (Self::File { .. } | Self::Directory { .. }, ToMaster::UploadFileClose { .. })
            | (Self::Directory { .. }, ToMaster::UploadDirectoryUnpack { .. })
            | (Self::Download, ToMaster::ReadFile { .. } | ToMaster::ReadFileClose { .. }) => {
                return Ok(());
            }
            _ => {
                let op = request.op().to_owned();
                return Err(ProtocolError::NotOfCommand { op });
            }
        };
        if data.len() as u64 > block {
            return Err(ProtocolError::TooMuch {
                what: "bytes in a piece of a file",
                limit: block,
                limit_name: "blocksize",
            });
        }
        Ok(())
    }
}
