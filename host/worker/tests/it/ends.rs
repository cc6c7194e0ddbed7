//! How commands end by themselves.

use toolpost_worker::{CommandSpec, Status};

use crate::support::{ALL, BUILD, alive, bench, end, sh, text};

#[tokio::test]
async fn codes_come_through() {
    let bench = bench().await;
    for code in [0, 1, 7, 255] {
        let exit = bench.run(sh(&format!("exit {code}"))).await.exit;
        assert_eq!(exit.status, Status::Code(code));
        assert_eq!((exit.code(), exit.number()), (Some(code), code));
        assert_eq!(exit.success(), code == 0);
        assert!(
            exit.to_string()
                .starts_with(&format!("exit code {code} after 0."))
        );
    }
}

#[tokio::test]
async fn signals_come_through_with_their_names() {
    let bench = bench().await;
    for (name, number) in [("KILL", 9), ("SEGV", 11), ("TERM", 15)] {
        let exit = bench.run(sh(&format!("kill -{name} $$"))).await.exit;
        assert!(matches!(exit.status, Status::Signal { number: n, .. } if n == number));
        assert_eq!(exit.status.signal_name(), Some(format!("SIG{name}")));
        assert_eq!((exit.code(), exit.number()), (None, -number));
        assert!(!exit.success() && exit.cause.is_none());
        let shown = exit.to_string();
        assert!(
            shown.starts_with(&format!("killed by SIG{name} (signal {number}")),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn the_end_tells_what_was_used() {
    let bench = bench().await;
    let idle = bench.run(sh("true")).await.exit.usage.expect("told");
    // A shell that computes, and a program of its that has 64 MiB at once.
    let line = "k=0; while [ $k -lt 200000 ]; do k=$((k + 1)); done; \
                dd if=/dev/zero of=/dev/null bs=64M count=1 2>&1";
    let busy = bench.run(sh(line)).await.exit.usage.expect("told");
    assert!(
        busy.user > idle.user && busy.user.as_millis() >= 10,
        "{busy:?}"
    );
    assert!(busy.system > idle.system, "{busy:?}");
    let least = 64 << 20;
    assert!(idle.memory_peak_bytes < least, "{idle:?}");
    assert!(
        (least..2 * least).contains(&busy.memory_peak_bytes),
        "{busy:?}"
    );
    // Also of one that is killed.
    let running = bench.start(sh("kill -KILL $$")).await;
    assert!(running.capture(ALL).await.exit.usage.is_some());
}

#[tokio::test]
async fn a_daemon_that_holds_the_pipe_does_not_hold_the_step() {
    let bench = bench().await;
    let line = "setsid sh -c 'echo $$ > pid; exec sleep 600' & \
                while [ ! -s pid ]; do sleep 0.02; done; echo started";
    let captured = bench.run(sh(line)).await;
    assert_eq!(text(&captured.stdout), "started\n");
    assert!(captured.exit.success() && captured.exit.pipes_left_open);
    let daemon = bench.number("pid").await;
    assert!(
        alive(daemon),
        "what a command leaves behind on purpose lives on"
    );
    end(daemon);
}

#[tokio::test]
async fn a_background_process_that_closed_its_output_does_not_delay_the_end() {
    let bench = bench().await;
    let captured = bench
        .run(sh("sleep 600 > /dev/null 2>&1 & echo $! > pid"))
        .await;
    assert!(captured.exit.success() && !captured.exit.pipes_left_open);
    let background = bench.number("pid").await;
    assert!(alive(background));
    end(background);
}

#[tokio::test]
async fn a_daemon_that_floods_the_pipe_is_cut_off() {
    let bench = bench().await;
    let captured = bench.run(sh("yes & echo $! > pid; exit 3")).await;
    assert_eq!(captured.exit.code(), Some(3));
    assert!(captured.exit.pipes_left_open);
    assert!(captured.stdout.starts_with(b"y\n"));
    // Its pipe was closed, which ends it.
    crate::support::gone(bench.number("pid").await).await;
}

#[tokio::test]
async fn the_output_of_an_ended_command_waits_for_a_slow_reader() {
    let bench = bench().await;
    // More than the queue holds, less than queue and pipe together.
    let line = "head -c 950000 /dev/zero; printf end; sleep 600 & echo $! > pid";
    let running = bench.start(sh(line)).await;
    let background = bench.number("pid").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let captured = running.capture(ALL).await;
    assert_eq!(captured.stdout.len(), 950_003);
    assert!(captured.stdout.ends_with(b"end"));
    end(background);
}

#[tokio::test]
async fn many_short_commands_at_once_all_end_well() {
    let bench = bench().await;
    let runs = (0..100).map(|number| {
        let worker = bench.worker.clone();
        tokio::spawn(async move {
            let spec = CommandSpec::argv(BUILD, ["echo".to_owned(), number.to_string()]);
            let running = worker.start(spec).await.expect("it starts");
            let captured = running.capture(ALL).await;
            assert!(captured.exit.success() && !captured.exit.pipes_left_open);
            assert_eq!(text(&captured.stdout), format!("{number}\n"));
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.expect("no failure");
    }
    assert_eq!(bench.worker.commands_running(), 0);
}
