//! Logs when storage fails: lines are never there twice, and missing ones are told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use toolpost_core::model::{Log, LogType};

use super::backend::TestDb;
use super::both;
use super::logs::{all_lines, chunks, line, raw};
use super::setup::{Farm, at};
use crate::{LogStream, Store, StoreOptions};

/// What happens to objects that are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// There is no room for them.
    Full,
    /// They are stored, and then nothing more is heard: as in a crash before the next statement.
    CrashAfterPut,
}

/// A directory with faults.
#[derive(Debug)]
struct Faulty {
    inner: LocalFileSystem,
    fault: AtomicUsize,
}

const FAULTS: [Fault; 3] = [Fault::None, Fault::Full, Fault::CrashAfterPut];

impl Faulty {
    fn new(db: &TestDb, fault: Fault) -> Arc<Self> {
        let dir = db.dir.path().join("faulty");
        std::fs::create_dir_all(&dir).unwrap();
        let faulty = Self {
            inner: LocalFileSystem::new_with_prefix(dir).unwrap(),
            fault: AtomicUsize::new(0),
        };
        faulty.set(fault);
        Arc::new(faulty)
    }

    fn set(&self, fault: Fault) {
        self.fault.store(fault as usize, Ordering::SeqCst);
    }

    async fn names(&self) -> Vec<String> {
        let found: Vec<_> = self.inner.list(None).try_collect().await.unwrap();
        found
            .iter()
            .map(|object| object.location.to_string())
            .collect()
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        match FAULTS[self.fault.load(Ordering::SeqCst)] {
            Fault::None => self.inner.put_opts(to, payload, options).await,
            Fault::Full => Err(object_store::Error::Generic {
                store: "faulty",
                source: "no space left on device".into(),
            }),
            Fault::CrashAfterPut => {
                self.inner.put_opts(to, payload, options).await?;
                std::future::pending().await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        objects: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(objects)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Options with small segments in these objects.
fn options(db: &TestDb, objects: &Arc<Faulty>) -> StoreOptions {
    let mut options = db.options();
    options.objects = Some(objects.clone());
    options.log_buffer_bytes = 64 * 1024;
    options.log_segment_bytes = 256 * 1024;
    options.log_inline_bytes_max = 16 * 1024;
    options.log_unwritten_bytes_max = 256 * 1024;
    options
}

/// Appends lines numbered so.
async fn append(writer: &mut crate::LogWriter, numbers: std::ops::Range<i64>) {
    for n in numbers {
        writer
            .append(LogStream::Output, (line(n) + "\n").as_bytes())
            .await;
    }
}

fn lines(numbers: std::ops::Range<i64>) -> Vec<String> {
    numbers.map(line).collect()
}

both! {
    async fn a_crash_between_seal_and_delete_keeps_each_line_once(db: &TestDb) {
        let objects = Faulty::new(db, Fault::None);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        append(&mut writer, 0..12_000).await;
        writer.flush().await;
        // Sealing runs beside the writing; what began before the fault must not end in the midst of it.
        writer.await_sealing().await;
        objects.set(Fault::CrashAfterPut);
        let before = objects.names().await.len();
        let writing = tokio::spawn(async move {
            append(&mut writer, 12_000..40_000).await;
        });
        while objects.names().await.len() == before {
            tokio::task::yield_now().await;
        }
        // The process is killed: its tasks stop where they are.
        writing.abort();
        assert!(writing.await.unwrap_err().is_cancelled());
        let sealed = chunks(&farm.store, log)
            .await
            .iter()
            .filter(|chunk| chunk.2)
            .count();
        assert_eq!((before, objects.names().await.len()), (sealed, sealed + 1));
        farm.store.close().await;

        objects.set(Fault::None);
        let store = Store::open(options(db, &objects)).await.unwrap();
        let left = all_lines(&store, log).await;
        assert!(left.len() >= 12_000);
        assert_eq!(left, lines(0..i64::try_from(left.len()).unwrap()));
        assert_eq!(
            store.recover_master(farm.master, at(9)).await.unwrap().logs,
            [log]
        );
        assert_eq!(all_lines(&store, log).await, left);
        let chunks = chunks(&store, log).await;
        let sealed = chunks.iter().filter(|chunk| chunk.2).count();
        assert_eq!(
            objects.names().await.len(),
            sealed,
            "no object is left over"
        );
        assert!(
            chunks.iter().filter(|chunk| !chunk.2).count() <= 1,
            "{chunks:?}"
        );
        store.close().await;
    }

    async fn a_full_object_store_leaves_lines_in_the_database(db: &TestDb) {
        let objects = Faulty::new(db, Fault::Full);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        append(&mut writer, 0..15_000).await;
        assert_eq!(objects.names().await.len(), 0);
        assert_eq!(
            all_lines(&farm.store, log).await,
            lines(0..i64::try_from(all_lines(&farm.store, log).await.len()).unwrap())
        );
        objects.set(Fault::None);
        append(&mut writer, 15_000..16_000).await;
        assert_eq!(writer.lines_lost(), 0);
        writer.finish(at(1)).await.unwrap();
        assert_eq!(all_lines(&farm.store, log).await, lines(0..16_000));
        let chunks = chunks(&farm.store, log).await;
        assert!(
            chunks.iter().filter(|chunk| !chunk.2).count() <= 1,
            "sealed at the end: {chunks:?}"
        );
        farm.store.close().await;
    }

    async fn a_full_object_store_to_the_end_loses_nothing(db: &TestDb) {
        let objects = Faulty::new(db, Fault::Full);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        append(&mut writer, 0..15_000).await;
        writer.finish(at(1)).await.unwrap();
        assert_eq!(all_lines(&farm.store, log).await, lines(0..15_000));
        assert!(farm.store.get::<Log>(log).await.unwrap().complete);
        farm.store.close().await;
    }

    async fn a_short_lack_of_room_loses_nothing(db: &TestDb) {
        let objects = Faulty::new(db, Fault::None);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        append(&mut writer, 0..100).await;
        writer.flush().await;
        db.fill_disk(&farm.store).await;
        append(&mut writer, 100..3000).await;
        writer.flush().await;
        db.free_disk(&farm.store).await;
        append(&mut writer, 3000..3100).await;
        writer.finish(at(1)).await.unwrap();
        assert_eq!(all_lines(&farm.store, log).await, lines(0..3100));
        farm.store.close().await;
    }

    async fn lines_lost_to_a_full_disk_are_counted_in_their_place(db: &TestDb) {
        let objects = Faulty::new(db, Fault::None);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Stdio).await;
        let mut writer = farm.store.log_writer(log, LogType::Stdio);
        append(&mut writer, 0..100).await;
        writer.flush().await;
        db.fill_disk(&farm.store).await;
        append(&mut writer, 100..20_000).await;
        let lost = writer.lines_lost();
        assert!(lost > 1000, "{lost}");
        db.free_disk(&farm.store).await;
        append(&mut writer, 20_000..20_010).await;
        assert_eq!(writer.lines_lost(), lost);
        writer.finish(at(1)).await.unwrap();
        let found = all_lines(&farm.store, log).await;
        assert_eq!(i64::try_from(found.len()).unwrap(), 20_010 - lost + 1);
        let notice = found.iter().position(|line| line.starts_with('h')).unwrap();
        let said = format!("htoolpost: {lost} lines are missing here, they could not be stored: ");
        assert!(found[notice].starts_with(&said), "{}", found[notice]);
        assert!(
            found[notice].contains("no space is left"),
            "{}",
            found[notice]
        );
        let before: Vec<String> = (0..i64::try_from(notice).unwrap())
            .map(|n| format!("o{}", line(n)))
            .collect();
        assert_eq!(found[..notice], before);
        let after: Vec<String> = (i64::try_from(notice).unwrap() + lost..20_010)
            .map(|n| format!("o{}", line(n)))
            .collect();
        assert_eq!(found[notice + 1..], after);
        farm.store.close().await;
    }

    async fn a_disk_that_stays_full_does_not_stop_the_build(db: &TestDb) {
        let objects = Faulty::new(db, Fault::Full);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        db.fill_disk(&farm.store).await;
        append(&mut writer, 0..20_000).await;
        writer.flush().await;
        let kept = farm.store.get::<Log>(log).await.unwrap().num_lines;
        // Whether there is room for the notice is the disk's affair; what is there is whole.
        let _closed = writer.finish(at(1)).await;
        let found = all_lines(&farm.store, log).await;
        assert_eq!(found[..usize::try_from(kept).unwrap()], lines(0..kept));
        db.free_disk(&farm.store).await;
        let (recovered, again) = (
            farm.store.recover_master(farm.master, at(2)).await.unwrap(),
            raw(&farm.store, log).await,
        );
        assert_eq!(recovered.builds.len(), 1);
        assert_eq!(
            again.iter().filter(|byte| **byte == b'\n').count(),
            found.len()
        );
        assert!(farm.store.get::<Log>(log).await.unwrap().complete);
        farm.store.close().await;
    }

    async fn a_writer_whose_master_was_recovered_adds_nothing(db: &TestDb) {
        let objects = Faulty::new(db, Fault::None);
        let farm = Farm::with(Store::open(options(db, &objects)).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        append(&mut writer, 0..10).await;
        writer.flush().await;
        farm.store.recover_master(farm.master, at(1)).await.unwrap();
        append(&mut writer, 10..20).await;
        writer.flush().await;
        assert!(writer.finish(at(2)).await.is_err());
        assert_eq!(all_lines(&farm.store, log).await, lines(0..10));
        farm.store.close().await;
    }
}
