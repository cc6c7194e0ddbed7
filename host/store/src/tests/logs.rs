//! Logs: what goes in comes out, by number and as a stream, while they are written and sealed.

use futures::TryStreamExt;
use toolpost_core::model::{Log, LogType};
use toolpost_core::{Event, LogId, StepId};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::sql::args;
use crate::{LogStream, Store, StoreError};

/// Rows of the log: (first line, lines, whether it is sealed).
pub(super) async fn chunks(store: &Store, log: LogId) -> Vec<(i64, i64, bool)> {
    let mut connection = store.read("test").await.unwrap();
    let sql = "SELECT first_line, lines, CASE WHEN object IS NULL THEN $2 ELSE $3 END \
        FROM log_chunks WHERE log_id = $1 ORDER BY first_line";
    connection
        .fetch_all("test", sql, args![log, 0, 1])
        .await
        .unwrap()
        .iter()
        .map(|row| {
            let mut cells = row.cells();
            (
                cells.get().unwrap(),
                cells.get().unwrap(),
                cells.get().unwrap(),
            )
        })
        .collect()
}

/// All lines of a log, read page by page.
pub(super) async fn all_lines(store: &Store, log: LogId) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let first = i64::try_from(lines.len()).unwrap();
        let page = store.log_lines(log, first, 1000).await.unwrap();
        assert_eq!(
            (page.first, page.count),
            (first, i64::try_from(page.lines().count()).unwrap())
        );
        if page.count == 0 {
            return lines;
        }
        lines.extend(
            page.lines()
                .map(|line| String::from_utf8_lossy(line).into_owned()),
        );
    }
}

pub(super) async fn raw(store: &Store, log: LogId) -> Vec<u8> {
    let stream = store.raw_stream(log).await.unwrap();
    let pieces: Vec<_> = stream.try_collect().await.unwrap();
    pieces.concat()
}

/// A line that no other number has, and that does not compress to nothing.
pub(super) fn line(n: i64) -> String {
    let noise = n.wrapping_mul(0x5851_f42d_4c95_7f2d).unsigned_abs();
    format!(
        "line {n} says {noise:016x} {:016x}",
        noise.rotate_left(17) ^ 0x9e37
    )
}

both! {
    async fn a_small_log_stays_in_the_database_as_one_chunk(db: &TestDb) {
        let farm = Farm::on(db).await;
        let log = farm.log(LogType::Stdio).await;
        db.take_events();
        let mut writer = farm.store.log_writer(log, LogType::Stdio);
        writer.append(LogStream::Header, b"make\n").await;
        writer.flush().await;
        writer.append(LogStream::Output, b"one\ntw").await;
        writer.append(LogStream::Error, b"oops\n").await;
        writer.flush().await;
        writer.append(LogStream::Output, b"o\n\xff\0end").await;
        assert_eq!(writer.lines(), 4);
        assert_eq!(chunks(&farm.store, log).await.len(), 2);
        writer.flush().await;
        writer.flush().await;
        writer.finish(at(5)).await.unwrap();
        assert_eq!(chunks(&farm.store, log).await, [(0, 5, false)]);
        let step = StepId(1);
        assert_eq!(
            db.take_events(),
            [
                Event::LogAppended(log, step),
                Event::LogAppended(log, step),
                Event::LogAppended(log, step),
                Event::LogAppended(log, step),
                Event::LogFinished(log, step),
            ]
        );
        let page = farm.store.log_lines(log, 0, 10).await.unwrap();
        assert_eq!(
            page.content.escape_ascii().to_string(),
            r"hmake\noone\neoops\notwo\no\xff\x00end\n"
        );
        assert_eq!(
            raw(&farm.store, log).await.escape_ascii().to_string(),
            r"make\none\noops\ntwo\n\xff\x00end\n"
        );
        let log: Log = farm.store.get(log).await.unwrap();
        assert_eq!((log.complete, log.num_lines), (true, 5));
        farm.store.close().await;
    }

    async fn an_empty_log_is_a_log(db: &TestDb) {
        let farm = Farm::on(db).await;
        let log = farm.log(LogType::Html).await;
        assert_eq!(raw(&farm.store, log).await, b"");
        farm.store
            .log_writer(log, LogType::Html)
            .finish(at(1))
            .await
            .unwrap();
        assert_eq!(farm.store.log_lines(log, 0, 10).await.unwrap().count, 0);
        assert_eq!(raw(&farm.store, log).await, b"");
        let unknown = farm.store.log_lines(LogId(99), 0, 1).await;
        assert!(matches!(
            unknown,
            Err(StoreError::NotFound {
                what: "log",
                id: 99
            })
        ));
        let unknown = farm.store.raw_stream(LogId(99)).await.map(drop);
        assert!(matches!(
            unknown,
            Err(StoreError::NotFound {
                what: "log",
                id: 99
            })
        ));
        farm.store.close().await;
    }

    async fn slugs_are_unique_in_a_step(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        let step = farm.step(build, "x").await;
        let mut slugs = Vec::new();
        for name in ["stdio", "test.log", "test log", "stdio"] {
            let log = farm.store.add_log(step, name, LogType::Text).await.unwrap();
            slugs.push(farm.store.get::<Log>(log).await.unwrap().slug);
        }
        assert_eq!(slugs, ["stdio", "test_log", "test_log_2", "stdio_2"]);
        assert!(
            farm.store
                .add_log(StepId(99), "x", LogType::Text)
                .await
                .is_err()
        );
        farm.store.close().await;
    }

    async fn a_large_log_is_sealed_and_read_anywhere(db: &TestDb) {
        let mut options = db.options();
        options.log_segment_bytes = 1024 * 1024;
        let farm = Farm::with(Store::open(options).await.unwrap()).await;
        let log = farm.log(LogType::Stdio).await;
        let mut writer = farm.store.log_writer(log, LogType::Stdio);
        let total = 50_000;
        let mut expected = String::new();
        for n in 0..total {
            let text = line(n) + "\n";
            writer.append(LogStream::Output, text.as_bytes()).await;
            expected.push_str(&text);
        }
        writer.finish(at(5)).await.unwrap();
        assert_eq!(raw(&farm.store, log).await, expected.into_bytes());
        let chunks = chunks(&farm.store, log).await;
        assert!(
            chunks.len() >= 3 && chunks.iter().filter(|chunk| chunk.2).count() >= 2,
            "{chunks:?}"
        );

        let mut edges: Vec<i64> = chunks.iter().map(|chunk| chunk.0).collect();
        edges.extend([0, 1, total / 2, total - 1, total, total + 5]);
        for edge in edges {
            for (first, limit) in [(edge, 1), (edge - 1, 2), (edge - 50, 100), (edge, 3000)] {
                let page = farm.store.log_lines(log, first, limit).await.unwrap();
                let from = first.max(0);
                let to = (from + i64::from(limit)).min(total).max(from);
                let wanted: Vec<String> = (from..to).map(|n| format!("o{}", line(n))).collect();
                let found: Vec<String> = page
                    .lines()
                    .map(|line| String::from_utf8(line.to_vec()).unwrap())
                    .collect();
                assert_eq!(
                    (page.first, page.count),
                    (from, to - from),
                    "{first} {limit}"
                );
                assert_eq!(found, wanted, "{first} {limit}");
            }
        }
        assert_eq!(farm.store.log_lines(log, 0, 0).await.unwrap().count, 0);
        farm.store.close().await;
    }

    async fn readers_see_every_line_once_while_a_log_is_sealed(db: &TestDb) {
        let mut options = db.options();
        options.log_segment_bytes = 96 * 1024;
        options.log_inline_bytes_max = 16 * 1024;
        let farm = Farm::with(Store::open(options).await.unwrap()).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        let total = 15_000;
        let writing = tokio::spawn(async move {
            for n in 0..total {
                writer
                    .append(LogStream::Output, (line(n) + "\n").as_bytes())
                    .await;
                if n % 100 == 0 {
                    writer.flush().await;
                }
            }
            writer.finish(at(1)).await
        });
        loop {
            let done = writing.is_finished();
            let streamed = String::from_utf8(raw(&farm.store, log).await).unwrap();
            for (n, found) in (0..).zip(streamed.lines()) {
                assert_eq!(found, line(n));
            }
            let known: Log = farm.store.get(log).await.unwrap();
            let page = farm
                .store
                .log_lines(log, known.num_lines / 2, 500)
                .await
                .unwrap();
            for (n, found) in (page.first..).zip(page.lines()) {
                assert_eq!(found, line(n).as_bytes());
            }
            assert!(page.count >= 500.min(known.num_lines - page.first));
            if done {
                assert_eq!(streamed.lines().count(), 15_000);
                break;
            }
        }
        writing.await.unwrap().unwrap();
        farm.store.close().await;
    }

    async fn many_small_flushes_are_joined(db: &TestDb) {
        let farm = Farm::on(db).await;
        let log = farm.log(LogType::Text).await;
        let mut writer = farm.store.log_writer(log, LogType::Text);
        for n in 0..600 {
            writer
                .append(LogStream::Output, (line(n) + "\n").as_bytes())
                .await;
            writer.flush().await;
        }
        assert!(
            chunks(&farm.store, log).await.len() <= 270,
            "{:?}",
            chunks(&farm.store, log).await
        );
        writer.finish(at(1)).await.unwrap();
        assert_eq!(chunks(&farm.store, log).await, [(0, 600, false)]);
        assert_eq!(
            all_lines(&farm.store, log).await,
            (0..600).map(line).collect::<Vec<_>>()
        );
        farm.store.close().await;
    }
}
