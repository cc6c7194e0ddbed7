//! What dashboards ask for again and again, and how fast it comes.

use std::time::Duration;

use crate::load::{Latencies, hammer_each};
use crate::table::Row;

/// What is asked for.
pub(super) struct List {
    pub(super) name: &'static str,
    /// The path of the n-th request.
    pub(super) path: fn(usize, &Ids) -> String,
    /// What Buildbot 4.3.0 does over one connection, with some hundred builds in its database: requests per second, p99 in ms.
    pub(super) buildbot: Option<(f64, f64)>,
    /// What we want per second over many connections; Buildbot, which is one thread, does as much over one.
    pub(super) rate_target: Option<f64>,
    /// Whether the answer is so long that its latency is that of its bytes.
    pub(super) long: bool,
}

/// What paths are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub(super) builder: i64,
    pub(super) builders: usize,
    pub(super) builds: usize,
    /// The log of 200,000 lines.
    pub(super) log: i64,
}

const P99_TARGET_MS: f64 = 5.0;
const P99_CROWDED_TARGET_MS: f64 = 50.0;
/// Connections of a crowd.
pub(super) const CROWD: usize = 64;
/// Ids of builds begin here, as in `fill`.
const FIRST_BUILD: usize = 1_000;

const fn list(name: &'static str, path: fn(usize, &Ids) -> String) -> List {
    List {
        name,
        path,
        buildbot: None,
        rate_target: None,
        long: false,
    }
}

/// A number below `values`, in a spelling that no other request has.
fn anew(n: usize, values: usize) -> String {
    format!("{:0width$}", n % values, width = 4 + n / values)
}

/// "Anew" are requests of which no two are the same, so that nothing that was kept answers them.
pub(super) const LISTS: &[List] = &[
    List {
        buildbot: Some((40.0, 26.0)),
        rate_target: Some(4_000.0),
        ..list("builds?limit=100&order=-buildid", |_, _| {
            "builds?limit=100&order=-buildid".into()
        })
    },
    List {
        buildbot: Some((40.0, 26.0)),
        ..list("builds?limit=100&order=-buildid, anew", |n, _| {
            format!("builds?limit=100&order=-buildid&offset={}", anew(n, 1_000))
        })
    },
    List {
        buildbot: Some((180.0, 12.0)),
        rate_target: Some(18_000.0),
        ..list("builders?limit=10", |_, _| "builders?limit=10".into())
    },
    List {
        long: true,
        ..list("builders, all of them", |_, _| "builders".into())
    },
    list(
        "builders/N/builds?limit=20&order=-number, anew",
        |n, ids| {
            let builder = ids.builder + (n % ids.builders) as i64;
            format!(
                "builders/{builder}/builds?limit=20&order=-number&offset={}",
                anew(n / ids.builders, 1)
            )
        },
    ),
    list("builds?builderid=N&property=* of 20, anew", |n, ids| {
        let builder = ids.builder + (n % ids.builders) as i64;
        format!(
            "builds?builderid={builder}&limit=20&order=-buildid&property=*&field=buildid&field=properties&field=builderid&offset={}",
            anew(n / ids.builders, 1)
        )
    }),
    list("buildrequests?complete=0&limit=100, anew", |n, _| {
        format!(
            "buildrequests?complete=0&limit=100&offset={}",
            anew(n, 1_000)
        )
    }),
    List {
        long: true,
        ..list("buildrequests?complete=0, all of them", |_, _| {
            "buildrequests?complete=0".into()
        })
    },
    list("buildrequests?claimed=0, in order, anew", |n, _| {
        format!(
            "buildrequests?claimed=0&order=-priority&order=-submitted_at&limit=50&offset={}",
            anew(n, 1_000)
        )
    }),
    list("builds?results__eq=4&limit=100, anew", |n, _| {
        format!(
            "builds?results__eq=4&order=-buildid&limit=100&offset={}",
            anew(n, 200)
        )
    }),
    list("builds?complete_at__gt=T, anew", |n, ids| {
        // The last hundred builds or so.
        let since = 1_700_000_000 + 30 * (ids.builds - 100) - n % 3_000;
        let since = format!("{since:0width$}", width = 10 + n / 3_000);
        format!("builds?complete_at__gt={since}&field=buildid&field=complete_at&field=results")
    }),
    list("builds?complete=0", |_, _| {
        "builds?complete=0&order=-started_at".into()
    }),
    list("builds/N/steps, anew", |n, ids| {
        format!("builds/{}/steps", FIRST_BUILD + n * 7 % ids.builds)
    }),
    list("100 lines amid a log of 200,000, anew", |n, ids| {
        format!(
            "logs/{}/contents?offset={}&limit=100",
            ids.log,
            n * 499 % 199_000
        )
    }),
];

impl List {
    /// Asks over one connection, and over many.
    pub(super) async fn measure(
        &self,
        authority: &str,
        ids: Ids,
        span: Duration,
        database: &str,
    ) -> anyhow::Result<Vec<Row>> {
        let path = self.path;
        let path = move |n| format!("/api/v2/{}", path(n, &ids));
        let name = format!("{database}: {}", self.name);
        // What is prepared once is prepared here.
        hammer_each(authority, path, 1, Duration::from_millis(100)).await?;
        let one = hammer_each(authority, path, 1, span).await?;
        let many = hammer_each(authority, path, CROWD, span).await?;
        let mut rate = Row::rate(name.clone(), one.rate(), "/s");
        let mut p99 = Row::cost(format!("{name}, p99"), one.percentile_ms(0.99), "ms");
        if let Some((their_rate, their_p99)) = self.buildbot {
            rate = rate.buildbot(their_rate);
            p99 = p99.buildbot(their_p99);
        }
        if !self.long {
            p99 = p99.target(P99_TARGET_MS);
        }
        let p50 = Row::cost(format!("{name}, p50"), one.percentile_ms(0.5), "ms");
        let mut rows = vec![rate, p50, p99];
        rows.extend(self.crowded(&name, &many));
        Ok(rows)
    }

    fn crowded(&self, name: &str, many: &Latencies) -> [Row; 3] {
        let name = format!("{name}, {CROWD} connections");
        let p99 = Row::cost(format!("{name}, p99"), many.percentile_ms(0.99), "ms");
        let mut rate = Row::rate(name.clone(), many.rate(), "/s");
        if let Some((theirs, _)) = self.buildbot {
            rate = rate.buildbot(theirs);
        }
        if let Some(target) = self.rate_target {
            rate = rate.target(target);
        }
        [
            rate,
            Row::cost(format!("{name}, p50"), many.percentile_ms(0.5), "ms"),
            if self.long {
                p99
            } else {
                p99.target(P99_CROWDED_TARGET_MS)
            },
        ]
    }
}
