//! Hostile components that speak HTTP, with servers that lead them on and a name server that lies.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use toolpost_hostile::{Export, Lures, MISDEEDS};

use crate::http::tests::Granted;
use crate::http::{HttpLimits, HttpOptions, Resolve};
use crate::tests::scripted_host::ScriptedHost;
use crate::tests::support::{PATIENCE, limits, options};
use crate::{CallLimits, Sandbox, SandboxError, SandboxOptions};

/// Says something else each time: loopback, or loopback behind somebody who is far away.
#[derive(Debug, Default)]
struct Liar(Mutex<VecDeque<Vec<SocketAddr>>>);

#[async_trait]
impl Resolve for Liar {
    async fn resolve(&self, _: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let (near, far) = (
            SocketAddr::from(([127, 0, 0, 1], port)),
            SocketAddr::from(([93, 184, 216, 34], port)),
        );
        let mut answers = self.0.lock().unwrap();
        if answers.is_empty() {
            answers.extend([vec![near], vec![far, near]]);
        }
        Ok(answers.pop_front().unwrap_or_default())
    }
}

/// Runs the offender with what the operator granted it, against the servers.
async fn told(sandbox: &Sandbox, word: &str, to: &str, granted: &str) -> String {
    let misdeed = MISDEEDS
        .iter()
        .find(|misdeed| misdeed.word == word)
        .unwrap();
    let component = misdeed.component(Export::Run);
    let plugin = sandbox.load(component.into()).await.unwrap();
    let host = ScriptedHost::with_services(Granted {
        public: vec![granted.to_owned()],
        private: Vec::new(),
    });
    let step = plugin.step_types().remove(0);
    let limits = CallLimits {
        wall: Duration::from_secs(30),
        ..limits()
    };
    let parameters = json!({ "to": to });
    let run = step.run(&parameters, host, limits, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, run).await.expect("it ends");
    let error = ended.expect_err("it got through");
    assert!(matches!(error, SandboxError::Plugin { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(misdeed.reason), "{word}: {text}");
    text
}

fn sandbox(limits: HttpLimits) -> Sandbox {
    let http = HttpOptions {
        limits,
        resolver: std::sync::Arc::new(Liar::default()),
    };
    Sandbox::new(SandboxOptions { http, ..options() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_where_it_is_not_granted() {
    let lures = Lures::open().unwrap();
    let sandbox = sandbox(HttpLimits::default());
    let port = lures.treasure().port();
    let name = format!("rebound.example.org:{port}");
    let treasure = lures.treasure().to_string();
    let redirect = lures.redirect().to_string();
    told(&sandbox, "http-not-granted", &treasure, "chat.example.org").await;
    told(&sandbox, "http-loopback", &name, &name).await;
    told(&sandbox, "http-rebinding", &name, &name).await;
    let text = told(&sandbox, "http-redirect", &redirect, &redirect).await;
    assert!(text.contains(&treasure), "it was led there: {text}");
    assert_eq!(lures.reached(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drips_is_left() {
    let lures = Lures::open().unwrap();
    let sandbox = sandbox(HttpLimits {
        total: Duration::from_millis(20),
        ..HttpLimits::default()
    });
    let drip = lures.drip().to_string();
    told(&sandbox, "http-slow-drip", &drip, &drip).await;
}
