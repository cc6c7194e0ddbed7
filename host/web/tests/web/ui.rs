//! Buildbot's web interface: what is served of it, what is not, and what is said when it cannot be.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use toolpost_config::config::UiConfig;

use crate::support::{Answer, Asker, TestFarm};

/// Packages as pip installs them, of few words.
fn installed() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    let page = "<html><head><link href=\"icon.svg\" rel=\"icon\">\
        <script type=\"module\" crossorigin src=\"./assets/index-1.js\"></script></head>\
        <body></body> <!-- BUILDBOT_CONFIG_PLACEHOLDER -->\n</html>";
    let files = [
        ("buildbot_www/VERSION", "4.3.0"),
        ("buildbot_www/secret.txt", "not for the web"),
        ("buildbot_www/static/index.html", page),
        ("buildbot_www/static/icon.svg", "<svg/>"),
        ("buildbot_www/static/manifest.json", "{}"),
        ("buildbot_www/static/assets/index-1.js", "start()"),
        ("buildbot_grid_view/static/scripts.js", "grid()"),
        (
            "buildbot_grid_view-4.3.0.dist-info/entry_points.txt",
            "[buildbot.www]\ngrid_view = buildbot_grid_view:ep\n",
        ),
    ];
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    dir
}

async fn farm_with(config: UiConfig) -> TestFarm {
    let farm = TestFarm::new().await;
    let mut said = farm.master.said();
    said.farm.title = "</script><b>Example</b>".into();
    said.farm.url = "http://ci.example/".into();
    said.farm.ui = config;
    drop(said);
    farm
}

fn in_dir(dir: &Path) -> UiConfig {
    UiConfig {
        dir: Some(dir.to_owned()),
        ..UiConfig::default()
    }
}

/// The configuration that the page gives to the interface.
fn configuration(page: &Answer) -> Value {
    let (_, rest) = page
        .body
        .split_once("buildbotFrontendConfig = ")
        .expect("a configuration");
    let (json, _) = rest.split_once(";</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

#[tokio::test]
async fn the_interface_gets_its_page_files_and_configuration() {
    let dir = installed();
    let farm = farm_with(UiConfig {
        default_config: [("Home.max_recent_builds".to_owned(), json!(7))].into(),
        ..in_dir(dir.path())
    })
    .await;
    let page = farm.get_with("/", &[("host", "ci.example")]).await;
    let given = configuration(&page);
    assert_eq!(given["title"], "</script><b>Example</b>");
    assert_eq!(page.body.matches("</script>").count(), 2, "{}", page.body);
    assert_eq!(given["plugins"], json!({"grid_view": {}, "toolpost": {}}));
    assert_eq!(given["buildbotURL"], "http://ci.example/");
    assert_eq!(
        given["ui_default_config"],
        json!({"Home.max_recent_builds": 7})
    );
    assert_eq!(given["user"], json!({"anonymous": true}));
    assert_eq!(given["isProxy"], Value::Null);
    assert_eq!(
        farm.get_with("/config", &[("host", "ci.example")])
            .await
            .json(),
        given
    );
    // By another name of this server, its address is not taken for a mistake.
    let elsewhere = farm.get_with("/", &[("host", "127.0.0.1:8010")]).await;
    assert_eq!(configuration(&elsewhere)["isProxy"], true);
    // The script with the configuration is allowed, each time under another nonce, and no other inline script is.
    let policy = page.header("content-security-policy");
    let (_, rest) = policy
        .split_once("script-src 'self' 'nonce-")
        .expect("a nonce");
    let (nonce, _) = rest.split_once('\'').expect("its end");
    assert!(
        page.body.contains(&format!("nonce=\"{nonce}\">window.")),
        "{}",
        page.body
    );
    assert!(!elsewhere.header("content-security-policy").contains(nonce));
    assert!(
        !policy.contains("unsafe-eval") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), "no-store");

    let file = async |path: &str| {
        let answer = farm.get(path).await;
        let shown = format!(
            "{} {} {}",
            answer.status.as_u16(),
            answer.header("content-type"),
            answer.header("cache-control"),
        );
        (shown, answer)
    };
    let (text, own) = ("text/javascript; charset=utf-8", "text/css; charset=utf-8");
    for (path, expected) in [
        (
            "/assets/index-1.js",
            format!("200 {text} public, max-age=31536000, immutable"),
        ),
        ("/icon.svg", "200 image/svg+xml no-cache".into()),
        ("//icon.svg", "200 image/svg+xml no-cache".into()),
        ("/manifest.json", "200 application/json no-cache".into()),
        (
            "/plugins/grid_view/scripts.js",
            format!("200 {text} no-cache"),
        ),
        // It has none, and the interface asks for one.
        (
            "/plugins/grid_view/styles.css",
            format!("200 {own} no-cache"),
        ),
        (
            "/plugins/toolpost/scripts.js",
            format!("200 {text} no-cache"),
        ),
        (
            "/avatar?email=ada%40example.org",
            "200 image/svg+xml no-cache".into(),
        ),
    ] {
        let (shown, answer) = file(path).await;
        assert_eq!(shown, expected, "{path}");
        let tag = answer.header("etag").to_owned();
        let again = farm.get_with(path, &[("if-none-match", &tag)]).await;
        assert_eq!((again.status.as_u16(), &*again.body), (304, ""), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let home = farm.page("/home").await;
    assert!(home.body.contains("href=\"/\">Buildbot"), "{}", home.body);
    assert!(
        home.body.contains("class=\"brand\" href=\"/home\""),
        "{}",
        home.body
    );
}

#[tokio::test]
async fn nothing_else_of_the_disk_is_served() {
    let dir = installed();
    let farm = farm_with(in_dir(dir.path())).await;
    for path in [
        "/index.html",
        "/secret.txt",
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets/%2e%2e%5c%2e%2e%5csecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/plugins/grid_view/../../buildbot_www/secret.txt",
        "/plugins/grid_view/%00scripts.js",
        "/plugins/grid_view/%ff",
        "/plugins/other/scripts.js",
        "/buildbot_www/static/icon.svg",
    ] {
        let answer = farm.page(path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}: {}", answer.body);
        assert!(!answer.body.contains("not for the web"), "{path}");
    }
    let posted = farm.post("/icon.svg", "").await;
    assert_eq!(posted.status.as_u16(), 404, "{}", posted.body);
}

#[tokio::test]
async fn our_pages_say_what_keeps_the_interface_away() {
    let dir = installed();
    std::fs::remove_dir_all(dir.path().join("buildbot_www")).expect("removed");
    let farm = farm_with(in_dir(dir.path())).await;
    let without = farm.page("/").await;
    let expected =
        "The web interface of Buildbot cannot be served: buildbot-www is not installed in";
    assert!(without.body.contains(expected), "{}", without.body);
    assert_eq!(
        farm.page("/plugins/grid_view/scripts.js")
            .await
            .status
            .as_u16(),
        404
    );

    let dir = installed();
    let asked =
        ["grid_view", "waterfall_view"].map(|name| (name.to_owned(), serde_json::Map::new()));
    let farm = farm_with(UiConfig {
        plugins: Some(asked.into()),
        ..in_dir(dir.path())
    })
    .await;
    let home = farm.page("/home").await;
    assert!(
        home.body
            .contains("is served without waterfall_view, which"),
        "{}",
        home.body
    );
    assert_eq!(
        configuration(&farm.get("/").await)["plugins"],
        json!({"grid_view": {}, "toolpost": {}})
    );
}

#[tokio::test]
async fn without_the_interface_our_pages_are_at_the_root() {
    let farm = TestFarm::new().await;
    for path in ["/", "/home"] {
        let home = farm.page(path).await;
        assert!(home.body.contains("Recent builds"), "{}", home.body);
        assert!(
            home.body.contains("class=\"brand\" href=\"/\""),
            "{}",
            home.body
        );
    }
    assert_eq!(farm.page("/manifest.json").await.status.as_u16(), 404);
    assert_eq!(farm.get("/config").await.json()["plugins"], json!({}));
}
