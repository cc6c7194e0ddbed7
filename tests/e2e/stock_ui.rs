//! Buildbot's own web interface, from PyPI, in Chromium against a farm of ours: each view with what has to be seen in it. Pictures
//! are kept in `target/screenshots/`.

use std::path::Path;

use toolpost_harness::fantoccini::{Client, Locator};
use toolpost_harness::{Farm, eventually};

use crate::browser::{Browser, screenshots};
use crate::support::{Repository, config, farm, password_hash, shell};

/// A form with a field of each kind that the interface can show.
const RELEASE: &str = r#"
[[scheduler]]
name = "release"
use = "force"
builders = ["lint"]
label = "Make a release"
button = "Release"

[[scheduler.codebases]]
branch = { choices = ["main", "stable"] }
project = { hidden = true }

[[scheduler.parameters]]
type = "nested"
name = "build"
fields = [
    { type = "nested", name = "what", label = "What", columns = 2, fields = [
        { type = "choice", name = "targets", choices = ["linux", "mac", "windows"], multiple = true, default = ["linux"] },
        { type = "bool", name = "clean", label = "From scratch" },
        { type = "int", name = "jobs", default = 4, min = 1, max = 64 },
    ] },
    { type = "nested", name = "notes", label = "Notes", fields = [
        { type = "text", name = "text", rows = 8, max_length = 2000 },
    ] },
]

[[scheduler.parameters]]
type = "nested"
layout = "simple"
fields = [
    { type = "string", name = "version", regex = "[0-9.]+", default = "1.0" },
    { type = "fixed", name = "kind", default = "release" },
    { type = "any", name = "extra" },
    { type = "worker", name = "where" },
    { type = "inherit", name = "like", builders = ["lint"] },
]
"#;

/// The interface in a window.
struct Ui {
    browser: Browser,
    base: String,
}

impl Ui {
    async fn open(farm: &Farm) -> Self {
        let browser = Browser::start().await;
        browser.dress(1280, 900, "light").await;
        Self {
            browser,
            base: farm.api().url(""),
        }
    }

    fn client(&self) -> &Client {
        &self.browser.client
    }

    async fn text(&self) -> String {
        let text = self
            .client()
            .execute("return document.body.innerText", vec![]);
        text.await.unwrap().as_str().unwrap_or_default().to_owned()
    }

    /// Waits until all of these are to be read, takes a picture, and looks at the console.
    async fn sees(&self, name: &str, seen: &[&str]) {
        eventually(&format!("{seen:?} in the view {name}"), async || {
            let text = self.text().await;
            seen.iter().all(|part| text.contains(part)).then_some(())
        })
        .await;
        self.keep(name).await;
        let mut errors = self.browser.console_errors().await;
        // The waterfall divides by the time that its builds took, which is nothing as long as there is one quick build; so it does
        // with a stock master.
        errors.retain(|error| !(error.contains("waterfall_view") && error.contains("NaN")));
        assert_eq!(errors, [""; 0], "in the view {name}");
    }

    async fn keep(&self, name: &str) {
        let picture = self.client().screenshot().await.unwrap();
        std::fs::write(screenshots().join(format!("stock-{name}.png")), picture).unwrap();
    }

    /// Goes to a view and waits until all of these are to be read.
    async fn view(&self, name: &str, route: &str, seen: &[&str]) {
        self.client()
            .goto(&format!("{}#/{route}", self.base))
            .await
            .unwrap();
        self.sees(name, seen).await;
    }

    /// Clicks the first element that a path of XPath leads to, once it is there.
    async fn click(&self, path: &str) {
        let wait = self.client().wait();
        let element = wait.for_element(Locator::XPath(path)).await;
        element
            .unwrap_or_else(|e| panic!("{path}: {e}"))
            .click()
            .await
            .unwrap();
    }

    async fn press(&self, text: &str) {
        self.click(&format!("//button[contains(normalize-space(.), '{text}')]"))
            .await;
    }

    async fn press_link(&self, text: &str) {
        self.click(&format!("//a[contains(normalize-space(.), '{text}')]"))
            .await;
    }

    /// Replaces what is in a field of a form.
    async fn fill(&self, field: &str, value: &str) {
        let css = format!("[data-bb-test-id='force-field-{field}']");
        let wait = self.client().wait();
        let element = wait.for_element(Locator::Css(&css)).await.unwrap();
        // The interface hears of what is typed, not of what is set.
        element.send_keys("\u{e009}a\u{e000}").await.unwrap();
        element.send_keys(value).await.unwrap();
    }

    /// Waits until the address ends like this.
    async fn arrives(&self, pattern: &str) -> String {
        eventually(&format!("the address of {pattern}"), async || {
            let url = self.client().current_url().await.unwrap().to_string();
            url.contains(pattern).then_some(url)
        })
        .await
    }
}

/// Where the interface is installed.
fn installed() -> String {
    std::env::var("TOOLPOST_TEST_STOCK_UI")
        .expect("TOOLPOST_TEST_STOCK_UI is not set: run the tests with `cargo xtask test`")
}

/// A farm with changes, builds that ended and one that runs, and one that waits.
async fn lively_farm(repository: &Repository, open: &Path) -> Farm {
    let ui = installed();
    // The log begins with the command, in which these words are not.
    let live = shell(&format!(
        "echo be''gun; i=0; until [ -e '{}' ]; do sleep 0.05; i=$((i+1)); [ $i -lt 4000 ] || exit 1; done; echo en''ded",
        open.display()
    ));
    let builders = [
        (
            "unit",
            shell("printf '\\033[32mgreen\\033[0m <b>not bold</b>\\n'; echo warm"),
        ),
        ("lint", shell("echo clean")),
        ("package", format!("max_builds = 1\n{live}")),
    ];
    let builders = builders
        .each_ref()
        .map(|(name, steps)| (*name, steps.as_str()));
    let text = config(&builders)
        + RELEASE
        + &format!(
            "\n[web]\nui = {ui:?}\n\n[master]\ntitle = \"Spindles & more\"\n\n[[changes]]\nname = \"hello\"\nuse = \"git-poller\"\n\
             repository = {:?}\nbranches = [\"main\"]\ninterval = \"1s\"\npoll_at_launch = true\nbuild_newest = true\n\n\
             [[scheduler]]\nname = \"on-push\"\nuse = \"single-branch\"\nbranch = \"main\"\nbuilders = [\"unit\"]\n",
            repository.path()
        );
    let farm = farm(&text).start().await;
    eventually("the build of the first change", async || {
        let builds = farm.api().get("builders/unit/builds?complete=true").await;
        builds["builds"].get(0).cloned()
    })
    .await;
    farm
}

#[tokio::test]
async fn every_view_of_the_stock_interface_works() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let repository = Repository::new();
    repository.commit("Turn the spindle\n\nSlowly.", &[("spindle.txt", "1")]);
    let farm = lively_farm(&repository, &open).await;
    let api = farm.api();
    let ui = Ui::open(&farm).await;
    let package = api.builder_id("package").await;
    let lint = api.builder_id("lint").await;
    let unit = api.builder_id("unit").await;

    ui.view("home", "", &["Spindles & more", "Welcome", "unit"])
        .await;
    look_at_lists(&ui).await;
    follow_a_build(&ui, api, package, &open).await;
    force_by_a_form(&ui, lint).await;
    let log = format!("builders/{unit}/builds/1/steps/0/logs/stdio");
    ui.view("log", &log, &["green", "<b>not bold</b>"]).await;
    ui.view(
        "builder",
        &format!("builders/{unit}"),
        &["unit", "main", "build successful"],
    )
    .await;
    let request = format!("buildrequests/{}", first_request(api, unit).await);
    ui.view("request", &request, &["build 1", "properties"])
        .await;
    ui.press_link("Toolpost pages").await;
    ui.arrives("/home").await;
    ui.sees("own-home", &["Recent builds", "Buildbot's interface"])
        .await;
    ui.click("//a[contains(., \"Buildbot's interface\")]").await;
    ui.sees("home-again", &["Welcome"]).await;
    ui.browser.client.close().await.unwrap();
}

async fn first_request(api: &toolpost_harness::Api, builder: i64) -> i64 {
    let path = format!("builders/{builder}/buildrequests?order=buildrequestid&limit=1");
    let requests = api.get(&path).await;
    requests["buildrequests"][0]["buildrequestid"]
        .as_i64()
        .unwrap()
}

/// Views that only show.
async fn look_at_lists(ui: &Ui) {
    ui.view("builders", "builders", &["unit", "lint", "package"])
        .await;
    ui.view("waterfall", "waterfall", &["unit"]).await;
    ui.view("console", "console", &["unit", "Turn the spindle"])
        .await;
    ui.view("grid", "grid", &["unit", "Turn the spindle"]).await;
    ui.view("workers", "workers", &["local"]).await;
    ui.view("masters", "masters", &["local", "unit"]).await;
    ui.view("schedulers", "schedulers", &["force", "on-push", "release"])
        .await;
    ui.view("changes", "changes", &["Turn the spindle"]).await;
    ui.view(
        "settings",
        "settings",
        &["Home", "Waterfall", "Console", "Grid"],
    )
    .await;
    ui.view(
        "about",
        "about",
        &["Toolpost version", "grid_view version: 4.3.0"],
    )
    .await;
    ui.view("worker", "workers/1", &["local", "unit"]).await;
    ui.view("change", "changes/1", &["Turn the spindle"]).await;
}

/// A build with a live log, one that waits for it, stop and rebuild.
async fn follow_a_build(ui: &Ui, api: &toolpost_harness::Api, package: i64, open: &Path) {
    let first = api.force("force", "package").await;
    api.running(first, "shell").await;
    let second = api.force("force", "package").await;
    ui.view(
        "pending",
        "pendingbuildrequests",
        &["package", &second.to_string()],
    )
    .await;
    let build = format!("builders/{package}/builds/1");
    ui.view("build-live", &build, &["begun", "Stop"]).await;
    ui.view(
        "log-live",
        &format!("{build}/steps/0/logs/stdio"),
        &["begun"],
    )
    .await;
    std::fs::write(open, "").unwrap();
    // Without going anywhere: the interface hears of it.
    ui.sees("log-ended", &["ended"]).await;
    ui.view("build-ended", &build, &["SUCCESS", "Rebuild"])
        .await;
    api.finished(second).await;
    std::fs::remove_file(open).unwrap();
    ui.press("Rebuild").await;
    ui.arrives(&format!("builders/{package}/builds/3")).await;
    ui.sees("rebuilt", &["begun"]).await;
    ui.press("Stop").await;
    ui.sees("stopped", &["CANCELLED"]).await;
}

/// A form with what does not fit, and then with what does.
async fn force_by_a_form(ui: &Ui, lint: i64) {
    ui.view(
        "builder-with-forms",
        &format!("builders/{lint}"),
        &["Release", "force"],
    )
    .await;
    ui.press("Release").await;
    ui.sees("force", &["Make a release", "Notes", "Start build"])
        .await;
    ui.fill("version", "one").await;
    ui.fill("build_what_jobs", "99").await;
    ui.press("Start build").await;
    eventually("what does not fit", async || {
        let text = ui.text().await;
        text.contains("is at most 64").then_some(())
    })
    .await;
    ui.keep("force-refused").await;
    // The browser notes the answer with status 400.
    ui.browser.console_errors().await;
    ui.fill("version", "2.1").await;
    ui.fill("build_what_jobs", "8").await;
    ui.press("Start build").await;
    ui.arrives(&format!("builders/{lint}/builds/")).await;
    ui.sees("forced", &["SUCCESS"]).await;
}

/// A farm in which only developers may force, and ada is one.
async fn guarded_farm(password: &str) -> Farm {
    let text = config(&[("unit", &shell("echo done"))])
        + &format!(
            "\n[web]\nui = {ui:?}\n\n[web.auth.user.ada]\npassword_hash = {hash:?}\nfull_name = \"Ada Lovelace\"\n\
             email = \"ada@example.org\"\ngroups = [\"dev\"]\n\n[web.auth.role.developer]\ngroups = [\"dev\"]\n\n\
             [[web.auth.rule]]\nactions = [\"control\"]\nroles = [\"developer\"]\n",
            ui = installed(),
            hash = password_hash(password),
        );
    farm(&text).start().await
}

#[tokio::test]
async fn people_log_in_with_the_stock_interface() {
    let password = "correct horse battery";
    let farm = guarded_farm(password).await;
    let api = farm.api();
    let unit = api.builder_id("unit").await;
    let ui = Ui::open(&farm).await;
    let builder = format!("builders/{unit}");
    ui.view("anonymous", &builder, &["unit", "force", "Anonymous"])
        .await;
    ui.press("force").await;
    ui.press("Start build").await;
    eventually("why not", async || {
        ui.text().await.contains("log in to force").then_some(())
    })
    .await;
    ui.keep("anonymous-refused").await;
    // The browser notes the answer with status 403.
    ui.browser.console_errors().await;
    assert_eq!(api.get("buildrequests").await["meta"]["total"], 0);

    ui.click("//*[contains(@class, 'modal')]//*[normalize-space(.) = 'Cancel']")
        .await;
    eventually("the form to be gone", async || {
        (!ui.text().await.contains("Start build")).then_some(())
    })
    .await;
    ui.click("//*[@id='bb-loginbar-dropdown']").await;
    ui.press_link("Login").await;
    ui.arrives("/login?redirect=").await;
    log_in(&ui, password).await;
    // Where they were, in the same interface.
    ui.arrives(&format!("/#/{builder}")).await;
    ui.click("//*[@id='bb-loginbar-dropdown']").await;
    ui.sees("logged-in", &["Ada Lovelace", "ada@example.org", "Logout"])
        .await;
    ui.client().refresh().await.unwrap();
    ui.press("force").await;
    ui.press("Start build").await;
    ui.arrives(&format!("{builder}/builds/1")).await;
    ui.sees("forced-by-ada", &["SUCCESS"]).await;
    let properties = api.get("builds/1/properties").await;
    let owner = &properties["properties"][0]["owner"][0];
    assert_eq!(owner, "ada@example.org", "{properties}");

    ui.click("//*[@id='bb-loginbar-dropdown']").await;
    ui.press_link("Logout").await;
    ui.sees("logged-out", &["Anonymous", "SUCCESS"]).await;
    ui.arrives(&format!("/#/{builder}/builds/1")).await;
    ui.browser.client.close().await.unwrap();
}

/// Fills in the page that people are led to.
async fn log_in(ui: &Ui, password: &str) {
    for (name, value) in [("username", "ada"), ("password", password)] {
        let css = format!("input[name={name}]");
        let field = ui.client().find(Locator::Css(&css)).await.unwrap();
        field.send_keys(value).await.unwrap();
    }
    ui.keep("log-in").await;
    ui.click("//form[@action='/auth/login']//button").await;
}
