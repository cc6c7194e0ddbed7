//! The pages of workers and locks in a real Chromium, with a worker that does what is clicked.

use toolpost_harness::eventually;
use toolpost_harness::fantoccini::Locator;

use crate::browser::{Browser, screenshots};
use crate::far::{Far, Kind, connected, worker};
use crate::remote::{config, free_port};
use crate::support::{farm, gate};

/// The least that a desktop is wide.
const DESKTOP: (u32, u32) = (1360, 800);

/// Of the page, and of all tables on it: how much wider they are than what is seen of them.
const TOO_WIDE: &str = "return Math.max(document.documentElement.scrollWidth - innerWidth, \
    ...[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth))";

impl Browser {
    async fn click(&self, css: &str) {
        let button = self.client.find(Locator::Css(css)).await.expect(css);
        button.click().await.expect(css);
    }

    /// Clicks what asks whether that is meant, and says yes.
    async fn click_and_confirm(&self, css: &str) {
        self.click(css).await;
        self.client.accept_alert().await.expect(css);
    }

    /// Waits until the page says so.
    async fn says(&self, text: &str) {
        eventually(&format!("the page to say {text:?}"), async || {
            let main = self.client.find(Locator::Css("main")).await.ok()?;
            main.text().await.ok()?.contains(text).then_some(())
        })
        .await;
    }

    async fn picture(&self, name: &str) {
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(screenshots().join(format!("{name}.png")), picture).unwrap();
    }
}

#[tokio::test]
async fn workers_do_what_is_clicked_and_locks_say_who_waits() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let port = free_port();
    let steps = gate(&open) + "locks = [\"the-one-and-only-printer\"]\n";
    let mut text = config(port, &["far"], &[("unit", &steps)]);
    text.push_str("\n[[lock]]\nname = \"the-one-and-only-printer\"\nscope = \"master\"\n");
    // As long as a name may be.
    let names = [1, 2, 3].map(|n| format!("a-machine-in-the-cellar-behind-the-boiler-{n:08}"));
    for name in &names {
        text.push_str(&format!(
            "\n[[worker]]\nname = {name:?}\nkind = \"remote\"\npassword = \"open sesame\"\n"
        ));
    }
    text.push_str(&format!(
        "\n[[builder]]\nname = \"cellar\"\nworkers = {names:?}\n{}",
        gate(&open)
    ));
    let farm = farm(&text).start().await;
    let api = farm.api();
    let mut far = Far::start(Kind::Own, port);
    connected(&farm, "far", true).await;
    let page = format!("workers/{}", worker(api, "far").await["workerid"]);
    let requests = [
        api.force("force", "unit").await,
        api.force("force", "unit").await,
    ];
    let first = api.running(requests[0], "gate").await;
    let browser = Browser::start().await;
    browser.dress(DESKTOP.0, DESKTOP.1, "light").await;
    let goto = async |path: &str| browser.client.goto(&api.url(path)).await.unwrap();

    eventually("the second build to wait for the lock", async || {
        goto("locks").await;
        let rows = browser
            .client
            .find_all(Locator::Css("tbody tr"))
            .await
            .ok()?;
        (rows.len() == 2).then_some(())
    })
    .await;
    browser.says(&format!("unit #{}", first["number"])).await;
    browser.says("the-one-and-only-printer").await;
    browser.picture("locks-waiting").await;

    goto("workers").await;
    browser.says(&names[2]).await;
    let too_wide = browser.number(TOO_WIDE).await;
    assert!(
        too_wide <= 0.0,
        "the list of workers is {too_wide} px too wide"
    );
    browser.picture("workers-long-names").await;

    goto(&page).await;
    let reason = browser
        .client
        .find(Locator::Css("input[name=reason]"))
        .await;
    reason.unwrap().send_keys("a new disk").await.unwrap();
    browser.click("form[action$='/pause'] button").await;
    browser.says("It takes no new builds: a new disk").await;
    assert_eq!(worker(api, "far").await["paused"], true);
    browser.picture("worker-paused").await;
    browser.click("form[action$='/unpause'] button").await;
    browser.says("Finish and shut down").await;
    assert_eq!(worker(api, "far").await["paused"], false);

    browser
        .click_and_confirm("form[action$='/stop'] button")
        .await;
    browser.says("told to end when it is idle").await;
    browser.picture("worker-finishing").await;
    std::fs::write(&open, "").unwrap();
    for request in requests {
        assert_eq!(
            api.finished(request).await["results"],
            0,
            "{}",
            farm.output()
        );
    }
    assert_eq!(far.ended().await, Some(0), "{}", far.log());

    far.run();
    connected(&farm, "far", true).await;
    goto(&page).await;
    browser
        .click_and_confirm("form[action$='/kill'] button")
        .await;
    assert_eq!(far.ended().await, Some(0), "{}", far.log());
    connected(&farm, "far", false).await;
    browser.client.close().await.unwrap();
}
