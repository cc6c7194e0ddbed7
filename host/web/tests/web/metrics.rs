//! What Prometheus reads, and what the pages of plugins show of the same numbers.

use std::time::Duration;

use insta::assert_snapshot;
use toolpost_core::PluginKind;
use toolpost_sandbox::metrics::{CallSample, GOOD, TypeMetrics};
use toolpost_sandbox::{CallUsage, PoolStatus, PoolWait, WaitReason};
use toolpost_web::PluginLoad;

use crate::support::samples::{plugin, version};
use crate::support::{Asker, NOW, TestFarm, build};

fn load() -> PluginLoad {
    let usage = CallUsage {
        queued: Duration::from_millis(20),
        wall: Duration::from_millis(800),
        cpu: Duration::from_millis(200),
        memory_peak_bytes: 65_536,
    };
    let call = |outcome| CallSample {
        ago: Duration::from_secs(5),
        usage,
        outcome,
    };
    PluginLoad {
        types: vec![TypeMetrics {
            plugin: "test-summary".into(),
            kind: PluginKind::Step,
            type_name: "test-summary".into(),
            calls: [(GOOD, 41), ("trap", 1)].into(),
            cpu: Duration::from_millis(8_400),
            wall: Duration::from_millis(33_600),
            queued: Duration::from_millis(840),
            queued_longest: Duration::from_millis(500),
            memory_peak_bytes: 65_536,
            host_calls: [("properties.get", 42)].into(),
            recent: vec![call(GOOD), call("trap")],
        }],
        pool: PoolStatus {
            calls: 3,
            calls_max: 2_000,
            waiting: 1,
            memory_bytes: 196_608,
            memory_bytes_max: 1 << 30,
            pooling: true,
        },
        waits: vec![PoolWait {
            plugin: "test-summary".into(),
            calls: 2,
            longest: Duration::from_millis(1_500),
            reason: WaitReason::Memory,
        }],
    }
}

async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let live = version("test-summary", "0.3.1", 0xb7, NOW);
    let mut said = farm.master.said();
    said.plugins = vec![plugin("test-summary", live)];
    said.load = load();
    drop(said);
    farm
}

#[tokio::test]
async fn prometheus_reads_what_happens() {
    let farm = farm().await;
    farm.request(&build("docs")).await;
    let answer = farm.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let lines = answer.body.lines();
    let samples: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    assert_snapshot!(samples.join("\n"), @r#"
    toolpost_builds_running 0
    toolpost_requests_pending 1
    toolpost_draining 0
    toolpost_plugin_calls_total{plugin="test-summary",kind="step",type="test-summary",outcome="good"} 41
    toolpost_plugin_calls_total{plugin="test-summary",kind="step",type="test-summary",outcome="trap"} 1
    toolpost_plugin_host_calls_total{plugin="test-summary",kind="step",type="test-summary",function="properties.get"} 42
    toolpost_plugin_cpu_seconds_total{plugin="test-summary",kind="step",type="test-summary"} 8.4
    toolpost_plugin_wall_seconds_total{plugin="test-summary",kind="step",type="test-summary"} 33.6
    toolpost_plugin_queue_seconds_total{plugin="test-summary",kind="step",type="test-summary"} 0.84
    toolpost_plugin_queue_seconds_max{plugin="test-summary",kind="step",type="test-summary"} 0.5
    toolpost_plugin_memory_peak_bytes{plugin="test-summary",kind="step",type="test-summary"} 65536
    toolpost_plugin_reloads_total{plugin="test-summary",outcome="live"} 1
    toolpost_plugin_reloads_total{plugin="test-summary",outcome="refused"} 0
    toolpost_plugin_reloads_total{plugin="test-summary",outcome="rolled-back"} 0
    toolpost_plugin_info{plugin="test-summary",version="0.3.1",digest="b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7"} 1
    toolpost_plugin_calls_running 3
    toolpost_plugin_calls_limit 2000
    toolpost_plugin_memory_bytes 196608
    toolpost_plugin_memory_limit_bytes 1073741824
    toolpost_plugin_calls_waiting{plugin="test-summary",reason="memory"} 2
    "#);
}

#[tokio::test]
async fn pages_and_api_show_what_calls_take_and_why_they_wait() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/plugins/test-summary?field=waiting").await.shown(), @r#"
    200
    {"plugins":[{"waiting":[{"calls":2,"longest_ms":1500,"reason":"memory"}]}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/plugins/test-summary/metrics").await.shown(), @r#"
    200
    {"metrics":[{"calls":{"good":41,"trap":1},"cpu_ms":8400,"host_calls":{"properties.get":42},"kind":"step","memory_peak_bytes":65536,"plugin":"test-summary","queued_longest_ms":500,"queued_ms":840,"type":"test-summary","wall_ms":33600}],"meta":{"total":1}}
    "#);
    let page = farm.page("/plugins/test-summary").await;
    for words in [
        "2 calls wait, the first since 1.5 s: the calls that run have all the memory that plugins may have.",
        "aria-label=\"Durations of the last 2 calls\"",
        "1 trap",
        "20 ms, at most 500 ms",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
}
