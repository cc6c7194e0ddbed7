//! Orders to workers that connect from elsewhere, those that are missing, and what is known of their connections.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinHandle;
use toolpost_core::model::{Worker, WorkerNoteKind};
use toolpost_core::{Fact, JournalId, Results, Timestamp, WorkerId};
use toolpost_daemon::{Orders, RunError, Settings, SettingsFile};
use toolpost_store::Query;

use crate::farm::{Farm, FarmBuilder, START, farm};

/// A farm whose builders run on a worker `far`, each with one line for the shell.
struct FarFarm {
    farm: Farm,
    port: u16,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

async fn far_farm(described: FarmBuilder, builders: &[(&str, &str)]) -> FarFarm {
    let port = free_port();
    let mut config = format!(
        "[workers]\nlisten = \"127.0.0.1:{port}\"\n\n\
         [[worker]]\nname = \"far\"\nkind = \"remote\"\npassword = \"open sesame\"\n\n"
    );
    for (name, line) in builders {
        config += &format!(
            "[[builder]]\nname = \"{name}\"\nworkers = [\"far\"]\n\
             [[builder.step]]\nuse = \"shell\"\nname = \"x\"\ncommand = {line:?}\n\n"
        );
    }
    let names: Vec<_> = builders.iter().map(|(name, _)| *name).collect();
    config += &format!("[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = {names:?}\n");
    FarFarm {
        farm: described.config(&config).start().await,
        port,
    }
}

/// A worker that runs in this process.
struct Far {
    orders: Orders,
    task: JoinHandle<Result<(), RunError>>,
}

impl Far {
    /// Waits until it has ended because it was told to.
    async fn told_to_end(self) {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.task).await;
        let ended = ended.expect("it ends").expect("it does not panic");
        ended.expect("its directory could be used");
    }

    /// Ends it as its own operator does.
    async fn stop(self) {
        self.orders.stop.cancel();
        self.told_to_end().await;
    }
}

impl FarFarm {
    fn work(&self) -> PathBuf {
        self.farm.path().join("far")
    }

    fn settings(&self, password: &str) -> Settings {
        let file = self.farm.path().join("password");
        std::fs::write(&file, password).expect("a file");
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, own).expect("permissions");
        let settings = SettingsFile {
            master: Some(format!("ws://127.0.0.1:{}", self.port)),
            name: Some("far".into()),
            password_file: Some(file),
            basedir: Some(self.work()),
            max_delay: Some("1s".into()),
            ..SettingsFile::default()
        };
        settings.check().expect("good settings")
    }

    fn start_worker(&self, password: &str) -> Far {
        let orders = Orders::default();
        let running = toolpost_daemon::run(self.settings(password), orders.clone());
        Far {
            orders,
            task: tokio::spawn(running),
        }
    }

    /// Starts a worker and waits until it can be used.
    async fn connect(&self) -> Far {
        let far = self.start_worker("open sesame");
        self.farm
            .until("the worker is connected", async || {
                !self.worker().await.connected_to.is_empty()
            })
            .await;
        far
    }

    async fn gone(&self) -> Worker {
        let gone = async || self.worker().await.connected_to.is_empty();
        self.farm.until("the worker is gone", gone).await;
        self.worker().await
    }

    async fn worker(&self) -> Worker {
        let query = Query::new().eq("name", "far");
        let found: Vec<Worker> = self.farm.store().list(&query).await.expect("workers");
        found.into_iter().next().expect("the worker")
    }

    async fn id(&self) -> WorkerId {
        self.worker().await.id
    }

    async fn until_file(&self, path: &str) {
        let path = self.work().join(path);
        let what = format!("{} is there", path.display());
        self.farm.until(&what, async || path.exists()).await;
    }

    async fn facts(&self, wanted: impl Fn(WorkerId) -> Fact) -> Vec<Timestamp> {
        let wanted = wanted(self.id().await);
        let journal = self.farm.store().journal_after(JournalId(0), 1_000);
        let journal = journal.await.expect("the journal");
        let found = journal.iter().filter(|entry| entry.fact == wanted);
        found.map(|entry| entry.at).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_finish_ends_after_its_build_and_takes_nothing_new() {
    ends_after_its_build(async |far_farm, _| {
        let id = far_farm.id().await;
        far_farm
            .farm
            .master()
            .stop_worker(id, "new disk", "ada")
            .await
            .expect("it is here");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wants_to_end_does_so_after_its_build_and_takes_nothing_new() {
    ends_after_its_build(async |far_farm, far| {
        far.orders.leave.cancel();
        let asked = async || far_farm.worker().await.graceful;
        far_farm.farm.until("the worker has asked", asked).await;
    })
    .await;
}

async fn ends_after_its_build(tell: impl AsyncFnOnce(&FarFarm, &Far)) {
    let line = "touch started; until test -e ../../go; do sleep 0.02; done";
    let far_farm = far_farm(farm(), &[("a", line), ("b", "true")]).await;
    let farm = &far_farm.farm;
    let far = far_farm.connect().await;
    let running = farm.submit("a", &[]).await;
    far_farm.until_file("a/build/started").await;
    tell(&far_farm, &far).await;
    let waiting = farm.submit("b", &[]).await;
    assert!(far_farm.worker().await.graceful);
    std::fs::write(far_farm.work().join("go"), "").expect("go");
    assert_eq!(farm.end_of(running).await.results, Some(Results::Success));
    far.told_to_end().await;
    let gone = far_farm.gone().await;
    assert!(gone.dismissed && gone.graceful);
    assert_eq!(far_farm.facts(Fact::WorkerLost).await, []);
    assert!(farm.builds_of(waiting).await.is_empty());
    let far = far_farm.connect().await;
    assert_eq!(farm.end_of(waiting).await.results, Some(Results::Success));
    assert!(!far_farm.worker().await.graceful);
    far.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_ends_at_once_and_its_build_runs_again() {
    let line = "test -e ../again && exit 0; touch ../again; sleep 600";
    let far_farm = far_farm(farm(), &[("a", line)]).await;
    let farm = &far_farm.farm;
    let far = far_farm.connect().await;
    let request = farm.submit("a", &[]).await;
    far_farm.until_file("a/again").await;
    let id = far_farm.id().await;
    farm.master()
        .kill_worker(id, "it smokes", "ada")
        .await
        .expect("it is here");
    far.told_to_end().await;
    assert!(far_farm.gone().await.dismissed);
    let again = farm.master().kill_worker(id, "it smokes", "ada").await;
    assert_eq!(
        again.expect_err("it is gone").to_string(),
        "worker `far` is not connected, so that it cannot be told to end"
    );
    let far = far_farm.connect().await;
    assert_eq!(farm.end_of(request).await.results, Some(Results::Success));
    let first = farm.builds_of(request).await.remove(0);
    assert_eq!(first.results, Some(Results::Retry));
    assert!(
        first
            .state_string
            .contains("worker `far` was killed by ada: it smokes"),
        "{}",
        first.state_string
    );
    assert_eq!(far_farm.facts(Fact::WorkerLost).await, []);
    far.stop().await;
}

/// A stock `buildbot-worker`, in the place of ours.
struct Stock(Mutex<Child>);

impl Stock {
    fn make(far_farm: &FarFarm) {
        let made = Command::new(Self::program())
            .args(["create-worker", "--maxdelay", "2", "--protocol"])
            .arg("msgpack_experimental_v7")
            .arg(far_farm.work())
            .args([
                &format!("127.0.0.1:{}", far_farm.port),
                "far",
                "open sesame",
            ])
            .output()
            .expect("buildbot-worker can be run");
        assert!(made.status.success(), "{made:?}");
    }

    fn program() -> OsString {
        std::env::var_os("TOOLPOST_TEST_BUILDBOT_WORKER").expect(
            "TOOLPOST_TEST_BUILDBOT_WORKER is not set: run the tests with `cargo xtask test`",
        )
    }

    async fn connect(far_farm: &FarFarm) -> Self {
        let child = Command::new(Self::program())
            .args(["start", "--nodaemon"])
            .arg(far_farm.work())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("buildbot-worker starts");
        let is_connected = async || !far_farm.worker().await.connected_to.is_empty();
        far_farm
            .farm
            .until("the worker is connected", is_connected)
            .await;
        Self(Mutex::new(child))
    }

    async fn told_to_end(self, far_farm: &FarFarm) {
        let has_ended = async || {
            let mut child = self.0.lock().expect("nobody panicked");
            child.try_wait().expect("a child").is_some()
        };
        far_farm.farm.until("the worker ends", has_ended).await;
        assert!(far_farm.gone().await.dismissed);
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Ok(child) = self.0.get_mut() {
            // One that has ended already is waited for only.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_worker_ends_when_it_is_told() {
    let line =
        "test -e ../again && exit 0; touch ../again; until test -e ../../go; do sleep 0.1; done";
    let far_farm = far_farm(farm(), &[("a", line), ("b", line)]).await;
    let master = far_farm.farm.master();
    Stock::make(&far_farm);
    let stock = Stock::connect(&far_farm).await;
    let (id, killed) = (far_farm.id().await, far_farm.farm.submit("a", &[]).await);
    far_farm.until_file("a/again").await;
    let told = master.kill_worker(id, "it smokes", "ada").await;
    told.expect("it is here");
    stock.told_to_end(&far_farm).await;
    let stock = Stock::connect(&far_farm).await;
    let end = far_farm.farm.end_of(killed).await;
    assert_eq!(end.results, Some(Results::Success));
    let first = far_farm.farm.builds_of(killed).await.remove(0);
    assert_eq!(first.results, Some(Results::Retry));
    let finished = far_farm.farm.submit("b", &[]).await;
    far_farm.until_file("b/again").await;
    let told = master.stop_worker(id, "new disk", "ada").await;
    told.expect("it is here");
    std::fs::write(far_farm.work().join("go"), "").expect("go");
    let end = far_farm.farm.end_of(finished).await;
    assert_eq!(end.results, Some(Results::Success));
    stock.told_to_end(&far_farm).await;
    assert_eq!(far_farm.farm.builds_of(finished).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_killed_master_left_is_carried_out_by_the_next() {
    let line = "touch ../started; sleep 600";
    let mut far_farm = far_farm(farm(), &[("a", line)]).await;
    let far = far_farm.connect().await;
    far_farm.farm.submit("a", &[]).await;
    far_farm.until_file("a/started").await;
    let id = far_farm.id().await;
    let stopped = far_farm.farm.master().stop_worker(id, "", "ada").await;
    stopped.expect("it is here");
    far_farm.farm.kill().await;
    far_farm.farm.restart().await;
    // It comes back by itself, and its master knows what was to become of it.
    far.told_to_end().await;
    assert!(far_farm.gone().await.dismissed);
    let far = far_farm.connect().await;
    assert!(!far_farm.worker().await.graceful);
    far.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_worker_is_told_once_for_each_absence_also_across_a_restart() {
    let mut far_farm = far_farm(farm().manual_clock(), &[("a", "true")]).await;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    far_farm.connect().await.stop().await;
    far_farm.gone().await;
    far_farm.farm.clock().advance(minutes(59));
    far_farm.farm.clock().advance(minutes(1));
    let told = async |far_farm: &FarFarm, times: usize| {
        let all = async || far_farm.facts(Fact::WorkerMissing).await.len() >= times;
        far_farm.farm.until("the worker is missing", all).await;
        far_farm.facts(Fact::WorkerMissing).await
    };
    let first = START.after(minutes(60));
    assert_eq!(told(&far_farm, 1).await, [first]);
    far_farm.farm.stop(Duration::from_secs(10)).await;
    far_farm.farm.restart().await;
    far_farm.farm.clock().advance(minutes(600));
    far_farm.connect().await.stop().await;
    let gone = far_farm.gone().await;
    assert_eq!(gone.missing_at, None);
    // The first time that it came it was not missing.
    let back = far_farm.facts(Fact::WorkerBack).await;
    assert_eq!(back, [START.after(minutes(660))]);
    far_farm.farm.clock().advance(minutes(90));
    // Had it been told a second time for its first absence, there would be three.
    assert_eq!(told(&far_farm, 2).await, [first, START.after(minutes(750))]);
    let notes = far_farm
        .farm
        .store()
        .worker_notes(gone.id, 1)
        .await
        .expect("notes");
    assert_eq!(notes[0].kind, WorkerNoteKind::Missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_refused_is_noted_with_the_worker() {
    let far_farm = far_farm(farm(), &[("a", "true")]).await;
    let far = far_farm.start_worker("open says me");
    let id = far_farm.id().await;
    let notes = async || {
        far_farm
            .farm
            .store()
            .worker_notes(id, 10)
            .await
            .expect("notes")
    };
    let noted = async || !notes().await.is_empty();
    far_farm.farm.until("the refusal is noted", noted).await;
    let note = notes().await.remove(0);
    assert_eq!(note.kind, WorkerNoteKind::Refused);
    assert_eq!(note.text, "it had a wrong password, from 127.0.0.1");
    far.stop().await;
    let stopped = far_farm.farm.master().stop_worker(id, "", "ada").await;
    let error = stopped.expect_err("it is not here").to_string();
    assert!(error.contains("`far` is not connected"), "{error}");
}

#[tokio::test]
async fn the_worker_of_the_master_cannot_be_told_to_end() {
    let farm = farm().shell("a", &[("x", "true")]).start().await;
    let query = Query::new().eq("name", "w");
    let workers: Vec<Worker> = farm.store().list(&query).await.expect("workers");
    let killed = farm.master().kill_worker(workers[0].id, "", "ada").await;
    assert_eq!(
        killed.expect_err("it is local").to_string(),
        "worker `w` is a part of its master and ends with it; pause it instead"
    );
}

#[tokio::test]
async fn locks_say_who_has_them_and_who_waits() {
    let step = "[[builder.step]]\nuse = \"shell\"\nname = \"x\"\nlocks = [\"db\"]\n\
        command = \"touch started; until test -e ../../go; do sleep 0.02; done\"\n";
    let build = "locks = [\"db\"]\n[[builder.step]]\nuse = \"shell\"\ncommand = \"true\"\n";
    let farm = farm()
        .config("[[lock]]\nname = \"db\"\n[[lock]]\nname = \"idle\"\n")
        .builder("first", step)
        .builder("second", step)
        .builder("third", build)
        .start()
        .await;
    let first = farm.submit("first", &[]).await;
    farm.until_file("first/build/started").await;
    let second = farm.submit("second", &[]).await;
    let queued = async || farm.master().locks().locks[0].queue.len() == 1;
    farm.until("the second waits", queued).await;
    let third = farm.submit("third", &[]).await;
    let locked_out = async || farm.master().locks().locks[0].locked_out.len() == 1;
    farm.until("the third cannot begin", locked_out).await;
    let report = farm.master().locks();
    let db = &report.locks[0];
    let builds = [farm.running(first).await.id, farm.running(second).await.id];
    assert_eq!(
        (db.holders[0].build, db.holders[0].step.as_deref()),
        (Some(builds[0]), Some("x"))
    );
    assert_eq!(
        (db.queue[0].build, db.queue[0].is_stuck),
        (Some(builds[1]), false)
    );
    assert_eq!(db.locked_out[0].request, third);
    assert_eq!(report.locks[1].key.lock, "idle");
    std::fs::write(farm.path().join("work/go"), "").expect("go");
    for request in [first, second, third] {
        assert_eq!(farm.end_of(request).await.results, Some(Results::Success));
    }
    let free = farm.master().locks();
    assert!(free.locks.iter().all(|lock| lock.holders.is_empty()));
    assert!(free.never.is_empty() && free.hopeless.is_empty());
}
