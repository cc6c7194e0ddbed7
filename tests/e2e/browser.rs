//! The pages in a real Chromium: they work, and they are kept as pictures in `target/screenshots/`.

use std::path::PathBuf;
use std::process::Stdio;

use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use toolpost_harness::Farm;
use toolpost_harness::fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use toolpost_harness::fantoccini::{Client, ClientBuilder, Locator};

use crate::support::{config, farm, first_party, gate, root, shell};

/// Width and height of the windows that people have.
const WINDOWS: [(&str, u32, u32); 2] = [("desktop", 1280, 900), ("phone", 390, 844)];
const SCHEMES: [&str; 2] = ["light", "dark"];

/// Chromium under its driver; both end when dropped.
pub(crate) struct Browser {
    pub(crate) client: Client,
    _driver: tokio::process::Child,
    _profile: TempDir,
}

/// A command of Chromium's own protocol, by way of its driver.
#[derive(Debug)]
struct DevTools(&'static str, Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.0, "params": self.1});
        (http::Method::POST, Some(body.to_string()))
    }
}

/// What the console of the page said since the last time.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"type": "browser"});
        (http::Method::POST, Some(body.to_string()))
    }
}

impl Browser {
    /// Errors that the console of the page has, since the last time.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let log = self.client.issue_cmd(ConsoleLog).await.expect("a log");
        let entries = log.as_array().cloned().unwrap_or_default();
        let errors = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        errors.map(|entry| entry["message"].to_string()).collect()
    }

    pub(crate) async fn start() -> Self {
        let driver = std::env::var("TOOLPOST_TEST_CHROMEDRIVER")
            .expect("TOOLPOST_TEST_CHROMEDRIVER is not set: run the tests with `cargo xtask test`");
        let mut driver = tokio::process::Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("chromedriver says its port");
            if let Some((_, rest)) = line.split_once("started successfully on port ") {
                break rest.trim_end_matches('.').to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let profile = TempDir::with_prefix("toolpost-browser-").unwrap();
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), json!({"args": args}));
        capabilities.insert("goog:loggingPrefs".into(), json!({"browser": "ALL"}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self {
            client,
            _driver: driver,
            _profile: profile,
        }
    }

    pub(crate) async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        self.client
            .issue_cmd(DevTools(command, parameters))
            .await
            .expect(command)
    }

    /// Puts the page into a window of this size and a colour scheme.
    pub(crate) async fn dress(&self, width: u32, height: u32, scheme: &str) {
        let mobile = width < 600;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}),
        )
        .await;
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        )
        .await;
    }

    pub(crate) async fn number(&self, script: &str) -> f64 {
        self.client
            .execute(script, vec![])
            .await
            .unwrap()
            .as_f64()
            .unwrap_or(f64::NAN)
    }
}

/// Where pictures are kept.
pub(crate) fn screenshots() -> PathBuf {
    let folder = root().join("target/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A farm with something to see on every page.
async fn lively_farm(open: &std::path::Path) -> (Farm, Value, Value) {
    let colours = shell(
        "printf '\\033[32mgreen\\033[0m \\033[1;31mbold red\\033[0m <b>not bold</b>\\n'; \
         i=0; while [ $i -lt 20000 ]; do echo \"line $i of a long log\"; i=$((i+1)); done",
    );
    let tests = "[[builder.step]]\nuse = \"test-summary\"\nformat = \"tap\"\n\
                 command = \"printf '1..3\\\\nok 1 - turns\\\\nnot ok 2 - faces\\\\nok 3 - parts\\\\n'\"\n";
    let text = config(&[
        ("unit", &(colours.clone() + tests)),
        ("lint", &shell("echo clean")),
        ("package", &gate(open)),
    ]);
    let farm = farm(&text)
        .plugin("test-summary", first_party("test-summary"))
        .start()
        .await;
    let api = farm.api();
    for _ in 0..3 {
        let request = api.force("force", "lint").await;
        api.finished(request).await;
    }
    let request = api.force("force", "unit").await;
    let finished = api.finished(request).await;
    let request = api.force("force", "package").await;
    let running = api.running(request, "gate").await;
    // A file that the plugins page has to complain about.
    farm.drop_plugin("broken", b"this is no WebAssembly");
    (farm, finished, running)
}

#[tokio::test]
async fn every_page_is_readable_in_every_window_and_scheme() {
    let dir = tempfile::tempdir().unwrap();
    let (farm, finished, running) = lively_farm(&dir.path().join("open")).await;
    let api = farm.api();
    let unit = api.builder_id("unit").await;
    let logs = api
        .get(&format!("builds/{}/steps/0/logs", finished["buildid"]))
        .await;
    let pages = [
        ("home", String::new()),
        ("builders", "builders".into()),
        ("builder", format!("builders/{unit}")),
        ("build", format!("builds/{}", finished["buildid"])),
        ("build-running", format!("builds/{}", running["buildid"])),
        ("log", format!("logs/{}", logs["logs"][0]["logid"])),
        ("workers", "workers".into()),
        ("changes", "changes".into()),
        ("plugins", "plugins".into()),
        ("force", "force/force".into()),
        ("missing", "no/such/page".into()),
    ];
    let browser = Browser::start().await;
    let folder = screenshots();
    for (name, path) in &pages {
        for (window, width, height) in WINDOWS {
            for scheme in SCHEMES {
                browser.dress(width, height, scheme).await;
                browser.client.goto(&api.url(path)).await.unwrap();
                let picture = browser.client.screenshot().await.unwrap();
                std::fs::write(
                    folder.join(format!("{name}-{window}-{scheme}.png")),
                    picture,
                )
                .unwrap();
                let overflow = browser
                    .number("return document.documentElement.scrollWidth - window.innerWidth")
                    .await;
                assert!(
                    overflow <= 0.0,
                    "{name} is {overflow} px too wide for a {window}"
                );
                let headings = browser
                    .number("return document.querySelectorAll('h1').length")
                    .await;
                assert!(
                    (headings - 1.0).abs() < 0.1,
                    "{name} has {headings} main headings"
                );
                let unnamed = browser.number(UNNAMED_CONTROLS).await;
                assert!(
                    unnamed < 0.5,
                    "{name} has {unnamed} controls without a name"
                );
            }
        }
    }
    browser.client.close().await.unwrap();
}

/// Counts links, buttons and fields that a screen reader could not name.
const UNNAMED_CONTROLS: &str = "return [...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,textarea')]\
    .filter(e => !(e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length || e.value && e.type === 'submit')).length";

#[tokio::test]
async fn a_log_opens_at_any_line_and_keeps_markup_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let (farm, finished, _) = lively_farm(&dir.path().join("open")).await;
    let api = farm.api();
    let logs = api
        .get(&format!("builds/{}/steps/0/logs", finished["buildid"]))
        .await;
    let url = api.url(&format!("logs/{}", logs["logs"][0]["logid"]));
    let browser = Browser::start().await;
    browser.dress(1280, 900, "light").await;
    browser.client.goto(&url).await.unwrap();
    let wait = browser.client.wait();
    let body = wait
        .for_element(Locator::XPath("//*[contains(text(), 'bold red')]"))
        .await
        .unwrap();
    assert!(body.is_displayed().await.unwrap());
    let markup = browser
        .number("return [...document.querySelectorAll('b')].filter(e => e.textContent === 'not bold').length")
        .await;
    assert!(markup < 0.5, "markup in a log must stay text");
    let nodes = browser
        .number("return document.querySelectorAll('*').length")
        .await;
    assert!(
        nodes < 8000.0,
        "a long log must not become {nodes} elements"
    );
    browser.client.goto(&format!("{url}#L15000")).await.unwrap();
    browser.client.refresh().await.unwrap();
    let line = Locator::XPath("//*[contains(text(), 'line 14998 of')]");
    browser
        .client
        .wait()
        .for_element(line)
        .await
        .expect("the line is shown");
    browser.client.close().await.unwrap();
}

#[tokio::test]
async fn a_build_is_forced_and_followed_by_clicking() {
    let farm = farm(&config(&[("b", &shell("echo clicked"))]))
        .start()
        .await;
    let browser = Browser::start().await;
    browser
        .client
        .goto(&farm.api().url("force/force"))
        .await
        .unwrap();
    let form = "form[action*='force']";
    let button = browser
        .client
        .find(Locator::Css(&format!("{form} button[type=submit]")))
        .await
        .unwrap();
    button.click().await.unwrap();
    let api = farm.api();
    let build = toolpost_harness::eventually("the forced build", async || {
        api.get("builds?complete=true").await["builds"]
            .as_array()?
            .first()
            .cloned()
    })
    .await;
    assert_eq!(build["results"], 0);
    browser
        .client
        .goto(&api.url(&format!("builds/{}", build["buildid"])))
        .await
        .unwrap();
    let text = browser
        .client
        .find(Locator::Css("main"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(text.to_lowercase().contains("success"), "{text}");
    browser.client.close().await.unwrap();
}
