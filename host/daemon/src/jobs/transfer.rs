//! Files and directories between this worker and the master, in constant memory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use toolpost_wire::{Compression, DownloadFile, Update, UploadDirectory, UploadFile};
use toolpost_worker::{FileError, NewFile};

use super::exchange::Piece;
use super::{Abandoned, Bench, said};

/// The largest piece that is sent or asked for, whatever a master wants.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;
/// Pieces of an archive that are made ahead.
const PIECES_AHEAD: usize = 2;

/// Why a transfer ended early.
enum Stop {
    File(FileError),
    /// The master wants no more, or cannot be asked.
    Refused(String),
    TooLong(u64),
    Interrupted,
}

impl From<FileError> for Stop {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl Bench {
    pub(super) async fn upload_file(
        &self,
        upload: UploadFile,
        begun: Instant,
    ) -> Result<Option<String>, Abandoned> {
        let outcome = self.send_file(&upload).await;
        // The master has opened its file before it asked, and closes it when it is told to.
        let closed = self.exchange.send(Piece::FileEnd).await;
        let outcome = outcome.and_then(|file| closed.map_err(Stop::Refused).map(|_| file));
        if let (Ok(file), true) = (&outcome, upload.keep_stamp)
            && let Ok(metadata) = file.metadata()
        {
            let seconds = |s: i64, ns: i64| s as f64 + ns as f64 / 1e9;
            let accessed = seconds(metadata.atime(), metadata.atime_nsec());
            let modified = seconds(metadata.mtime(), metadata.mtime_nsec());
            // A stock master fails to keep the times; the file is there all the same.
            let _ = self.exchange.send(Piece::Times(accessed, modified)).await;
        }
        self.transferred(&upload.path, outcome.map(drop), begun)
            .await
    }

    async fn send_file(&self, upload: &UploadFile) -> Result<File, Stop> {
        let path = self.beneath(&upload.path)?;
        let mut file = self.files().open(&*path).await?;
        if upload.offset > 0 {
            file = at(file, upload.offset, &upload.path).await?;
        }
        let mut left = upload.max_size;
        loop {
            let length = upload.block_size.clamp(1, PIECE_BYTES_MAX);
            // One byte more than is allowed tells a file that is too long.
            let length = left.map_or(length, |left| length.min(left.saturating_add(1)));
            let (same, piece) = read_on(file, length, &upload.path).await?;
            file = same;
            if piece.is_empty() {
                return Ok(file);
            }
            if let Some(left) = &mut left {
                if piece.len() as u64 > *left {
                    return Err(Stop::TooLong(upload.max_size.unwrap_or(0)));
                }
                *left -= piece.len() as u64;
            }
            self.send(Piece::File(piece)).await?;
        }
    }

    pub(super) async fn upload_directory(
        &self,
        upload: UploadDirectory,
        begun: Instant,
    ) -> Result<Option<String>, Abandoned> {
        let outcome = self.send_archive(&upload).await;
        self.transferred(&upload.path, outcome, begun).await
    }

    async fn send_archive(&self, upload: &UploadDirectory) -> Result<(), Stop> {
        let gzip = match upload.compress {
            None => false,
            Some(Compression::Gzip) => true,
            Some(Compression::Bzip2) => {
                let text = "this worker does not compress with bzip2; let the step use `gz`";
                return Err(Stop::Refused(text.into()));
            }
        };
        let path = self.beneath(&upload.path)?;
        let piece_bytes = upload.block_size.clamp(1, PIECE_BYTES_MAX);
        let (sink, mut pieces) = Pieces::new(usize::try_from(piece_bytes).unwrap_or(1));
        let files = self.files();
        let writing = tokio::spawn(async move { files.archive(path, gzip, sink).await });
        let mut sent: u64 = 0;
        while let Some(piece) = pieces.recv().await {
            sent += piece.len() as u64;
            if let Some(most) = upload.max_size.filter(|most| sent > *most) {
                return Err(Stop::TooLong(most));
            }
            self.send(Piece::Archive(piece)).await?;
        }
        writing.await.unwrap_or(Err(FileError::Stopped))?;
        self.send(Piece::ArchiveEnd).await.map(drop)
    }

    pub(super) async fn download_file(
        &self,
        download: DownloadFile,
        begun: Instant,
    ) -> Result<Option<String>, Abandoned> {
        let outcome = self.receive_file(&download).await;
        let closed = self.exchange.send(Piece::ReadEnd).await;
        let outcome = match (outcome, closed) {
            (Ok(file), Ok(_)) => finish(file, download.mode).await.map_err(Stop::File),
            (Ok(_), Err(reason)) => Err(Stop::Refused(reason)),
            (Err(stop), _) => Err(stop),
        };
        self.transferred(&download.path, outcome, begun).await
    }

    async fn receive_file(&self, download: &DownloadFile) -> Result<NewFile, Stop> {
        let path = self.beneath(&download.path)?;
        let mut file = self.files().create(path).await?;
        let mut left = download.max_size;
        loop {
            let length = download.block_size.clamp(1, PIECE_BYTES_MAX);
            let length = left.map_or(length, |left| length.min(left).max(1));
            let piece = self.send(Piece::Read(length)).await?;
            let piece = piece.ok_or_else(|| {
                // An empty file would look like success.
                let text = "the master answered without the file; a stock Buildbot master sends none over this protocol";
                Stop::Refused(text.into())
            })?;
            if piece.is_empty() {
                return Ok(file);
            }
            if let Some(left) = &mut left {
                if piece.len() as u64 > *left {
                    return Err(Stop::TooLong(download.max_size.unwrap_or(0)));
                }
                *left -= piece.len() as u64;
            }
            file = append(file, piece).await?;
        }
    }

    async fn send(&self, piece: Piece) -> Result<Option<Bytes>, Stop> {
        if self.job.stop.is_cancelled() {
            return Err(Stop::Interrupted);
        }
        tokio::select! {
            answer = self.exchange.send(piece) => answer.map_err(Stop::Refused),
            () = self.job.stop.cancelled() => Err(Stop::Interrupted),
        }
    }

    async fn transferred(
        &self,
        path: &str,
        outcome: Result<(), Stop>,
        begun: Instant,
    ) -> Result<Option<String>, Abandoned> {
        let (rc, text) = match outcome {
            Ok(()) => return self.report(path, Ok(Vec::new()), begun).await,
            Err(Stop::File(error)) => return self.report(path, Err(error), begun).await,
            Err(Stop::Refused(reason)) => (1, format!("{path}: the transfer ended: {reason}\n")),
            Err(Stop::TooLong(most)) => {
                (1, format!("{path} is longer than {most} bytes (maxsize)\n"))
            }
            Err(Stop::Interrupted) => (-1, format!("{path}: the transfer was interrupted\n")),
        };
        let updates = vec![
            Update::Rc(rc),
            super::elapsed(begun),
            Update::Stderr(said(text)),
        ];
        self.job
            .outbox
            .push(super::Record::Updates(updates))
            .await?;
        Ok(None)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    spawn_blocking(work)
        .await
        .unwrap_or(Err(FileError::Stopped))
}

/// The file, to be read from there on.
async fn at(mut file: File, offset: u64, path: &str) -> Result<File, FileError> {
    let path = path.to_owned();
    let seek = move || match file.seek(SeekFrom::Start(offset)) {
        Ok(_) => Ok(file),
        Err(source) => Err(FileError::Io {
            action: "read",
            path,
            source,
        }),
    };
    blocking(seek).await
}

/// Up to so many bytes from where the file stands.
async fn read_on(file: File, length: u64, path: &str) -> Result<(File, Bytes), FileError> {
    let path = path.to_owned();
    let read = move || {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        match (&file).take(length).read_to_end(&mut bytes) {
            Ok(_) => Ok((file, bytes.into())),
            Err(source) => Err(FileError::Io {
                action: "read",
                path,
                source,
            }),
        }
    };
    blocking(read).await
}

async fn append(mut file: NewFile, piece: Bytes) -> Result<NewFile, FileError> {
    blocking(move || file.append(&piece).map(|()| file)).await
}

async fn finish(file: NewFile, mode: Option<u32>) -> Result<(), FileError> {
    blocking(move || file.finish(mode)).await
}

/// Cuts what is written into pieces; who writes waits while enough of them are ahead.
struct Pieces {
    piece_bytes: usize,
    filled: BytesMut,
    pieces: mpsc::Sender<Bytes>,
}

impl Pieces {
    fn new(piece_bytes: usize) -> (Self, mpsc::Receiver<Bytes>) {
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let sink = Self {
            piece_bytes,
            filled: BytesMut::new(),
            pieces,
        };
        (sink, receiver)
    }

    fn send(&mut self) -> io::Result<()> {
        let piece = self.filled.split().freeze();
        let sent = self.pieces.blocking_send(piece);
        sent.map_err(|_| io::Error::other("nobody takes it any more"))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.piece_bytes - self.filled.len();
        let taken = bytes.len().min(room);
        self.filled.extend_from_slice(&bytes[..taken]);
        if self.filled.len() == self.piece_bytes {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if !self.filled.is_empty() {
            // Fails when nobody takes it, who then knows that it is not whole.
            let _ = self.send();
        }
    }
}
