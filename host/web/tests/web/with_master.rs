//! The whole way, with a real master behind it: a form is sent, a build runs, and its pages and resources tell of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use toolpost_bus::Bus;
use toolpost_master::{Master, MasterDeps, MasterHandle, NativeCatalog, RunningUses, SystemClock};
use toolpost_sandbox::registry::MemoryStore;
use toolpost_sandbox::{PluginRegistry, RegistryOptions, Sandbox, SandboxOptions};
use toolpost_store::{Store, StoreOptions};
use toolpost_web::{WebOptions, WebState, router};

use crate::support::{Answer, Asker};

/// What takes longer than this does not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIGURATION: &str = r#"
[master]
name = "alpha"
hosts = ["ci.example"]

[[worker]]
name = "local"
kind = "local"

[[builder]]
name = "unit"
workers = ["local"]

[[builder.step]]
use = "shell"
name = "greet"
command = "printf '\\033[32mhello\\033[0m %s\\n' {{ prop.who }}"

[[builder]]
name = "slow"
workers = ["local"]

[[builder.step]]
use = "shell"
name = "sleep"
command = ["sleep", "600"]

[[scheduler]]
name = "force"
use = "force"
builders = ["unit", "slow"]

[[scheduler.parameters]]
name = "who"
type = "string"
regex = "[a-z]+"
default = "world"
"#;

struct RealFarm {
    router: Router,
    master: MasterHandle,
    sandbox: Sandbox,
    store: Store,
    _dir: TempDir,
}

impl Asker for RealFarm {
    fn router(&self) -> &Router {
        &self.router
    }
}

impl RealFarm {
    async fn start() -> Self {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("toolpost.toml");
        std::fs::write(&path, CONFIGURATION).expect("written");
        let bus = Bus::default();
        let publisher = bus.clone();
        let url = format!("sqlite:{}", dir.path().join("farm.db").display());
        let options = StoreOptions::new(url, dir.path().join("objects"))
            .on_commit(move |events| publisher.publish(events));
        let store = Store::open(options).await.expect("a store");
        let sandbox = Sandbox::new(SandboxOptions::default()).expect("a sandbox");
        let uses = Arc::new(RunningUses::default());
        let plugins = RegistryOptions::new(dir.path().join("plugins"));
        let memory = Arc::new(MemoryStore::default());
        let registry = PluginRegistry::open(plugins, sandbox.clone(), memory, uses.clone())
            .await
            .expect("a registry");
        let sources = toolpost_config::load(&path).expect("readable");
        let config = toolpost_config::check(&sources, &NativeCatalog)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let deps = MasterDeps {
            store: store.clone(),
            bus: bus.clone(),
            registry,
            uses,
            catalog: Arc::new(NativeCatalog),
            settings: config.master.as_ref().clone(),
            worker_port: None,
            config_path: path,
            clock: Arc::new(SystemClock),
        };
        let master = Master::start(deps, config, sources)
            .await
            .expect("a master");
        let router = router(WebState {
            store: store.clone(),
            bus,
            master: Arc::new(master.clone()),
            options: WebOptions::default(),
        });
        Self {
            router,
            master,
            sandbox,
            store,
            _dir: dir,
        }
    }

    /// Asks until the answer is as wished.
    async fn until(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let answer = self.get(path).await.json();
                if wished(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{path} never became as wished"))
    }

    async fn stop(self) {
        self.master.shutdown(Duration::ZERO).await;
        self.sandbox.shutdown();
        self.store.close().await;
    }
}

fn shows(page: &Answer, parts: &[&str]) {
    for part in parts {
        assert!(page.body.contains(part), "{part:?} is not in {}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_form_to_the_log() {
    let farm = RealFarm::start().await;
    let form = farm.page("/force/force?builder=unit").await;
    shows(&form, &["name=\"who\"", "value=\"world\""]);
    let refused = farm
        .post("/force/force?builder=unit", "reason=try&who=NO+1")
        .await;
    assert_eq!(refused.status.as_u16(), 422);
    shows(&refused, &["value=\"NO 1\"", "class=\"error\""]);
    let elsewhere = farm.get_with("/builders", &[("host", "evil.example")]);
    let elsewhere = elsewhere.await;
    assert_eq!(elsewhere.status.as_u16(), 421);
    shows(
        &elsewhere,
        &["not known as `evil.example`", "`hosts` in [master]"],
    );
    let taken = farm
        .post(
            "/force/force?builder=unit",
            "reason=try&who=reader&username=ada",
        )
        .await;
    assert_eq!(taken.status.as_u16(), 303, "{}", taken.body);
    let builds = farm
        .until("/api/v2/builders/unit/builds", |answer| {
            answer["builds"][0]["complete"] == true
        })
        .await;
    assert_eq!(builds["builds"][0]["results"], 0, "{builds}");
    let chunk = farm
        .get("/api/v2/builders/unit/builds/1/steps/greet/logs/stdio/contents")
        .await;
    let content = chunk.json()["logchunks"][0]["content"].to_string();
    assert!(content.contains("hello\\u001b[0m reader"), "{content}");
    let page = farm.page("/builds/1").await;
    shows(&page, &["success", "greet", "reader", "/builds/1/rebuild"]);
    shows(
        &farm.page("/logs/1").await,
        &["<span class=\"f2\">hello</span> reader"],
    );
    let again = farm.post("/builds/1/rebuild", "").await;
    assert_eq!(again.header("location"), "/builders/2?done=rebuild");
    farm.until("/api/v2/builders/unit/builds/2", |answer| {
        answer["builds"][0]["complete"] == true
    })
    .await;
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_build_is_stopped_by_a_call() {
    let farm = RealFarm::start().await;
    let params = json!({"builderNames": ["slow"], "reason": "try"});
    let forced = farm
        .call("/api/v2/forceschedulers/force", "force", params)
        .await;
    assert_eq!(forced.status.as_u16(), 200, "{}", forced.body);
    assert!(forced.json()["result"][1].is_object(), "{}", forced.body);
    farm.until(
        "/api/v2/builders/slow/builds/1/steps?name=sleep",
        |answer| answer["steps"][0]["started_at"].is_i64(),
    )
    .await;
    let stopped = farm
        .call(
            "/api/v2/builders/slow/builds/1",
            "stop",
            json!({"reason": "enough"}),
        )
        .await;
    assert_eq!(stopped.status.as_u16(), 200, "{}", stopped.body);
    let ended = farm
        .until("/api/v2/builders/slow/builds/1", |answer| {
            answer["builds"][0]["complete"] == true
        })
        .await;
    assert_eq!(ended["builds"][0]["results"], 6, "{ended}");
    let late = farm
        .call("/api/v2/builders/slow/builds/1", "stop", json!({}))
        .await;
    assert_eq!(late.status.as_u16(), 409, "{}", late.body);
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_form_is_refused_and_shown_so() {
    let farm = RealFarm::start().await;
    let schedulers = farm.get("/api/v2/schedulers?name=force").await.json();
    let scheduler = format!(
        "/api/v2/schedulers/{}",
        schedulers["schedulers"][0]["schedulerid"]
    );
    let why =
        "the force scheduler `force` is disabled; it takes no forms until somebody enables it";
    for enabled in [false, true] {
        let done = farm
            .call(&scheduler, "enable", json!({ "enabled": enabled }))
            .await;
        assert_eq!(done.status, 200, "{}", done.body);
        let form = farm.get("/api/v2/forceschedulers/force").await.json();
        assert_eq!(form["forceschedulers"][0]["enabled"], enabled);
        let told = farm.page("/force/force?builder=unit").await;
        let builder = farm.page("/builders/unit").await;
        for page in [told, builder] {
            let is_off = page.body.contains("disabled");
            assert_eq!(is_off, !enabled, "{}", page.body);
        }
        let sent = farm
            .post("/force/force?builder=unit", "reason=try&who=reader")
            .await;
        let params = json!({"builderNames": ["unit"], "reason": "try"});
        let called = farm
            .call("/api/v2/forceschedulers/force", "force", params)
            .await;
        if enabled {
            assert_eq!((sent.status.as_u16(), called.status.as_u16()), (303, 200));
            continue;
        }
        assert_eq!((sent.status.as_u16(), called.status.as_u16()), (422, 409));
        assert!(called.body.contains(why), "{}", called.body);
        shows(
            &sent,
            &["is disabled; it takes no forms", "value=\"reader\""],
        );
        let none = farm.get("/api/v2/buildrequests").await.json();
        assert_eq!(none["meta"]["total"], 0);
    }
    farm.stop().await;
}
