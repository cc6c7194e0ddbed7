//! When a loop wakes, on a paused clock: time moves only when everybody waits.

use std::time::Duration;

use tokio::time::{Instant, advance, timeout};
use toolpost_bus::{Bus, Wake, Woken};
use toolpost_core::{BuilderId, Event, WorkerId};

const SAFETY: Duration = Duration::from_secs(10);

fn wanted() -> Event {
    Event::Worker(WorkerId(1))
}

fn unwanted() -> Event {
    Event::Builder(BuilderId(1))
}

fn wake(bus: &Bus) -> Wake {
    Wake::new(bus.subscribe(), SAFETY, |event| {
        matches!(event, Event::Worker(_))
    })
}

/// What woke the loop, and how much later.
async fn next(wake: &mut Wake, deadline: Option<Duration>) -> (Woken, Duration) {
    let start = Instant::now();
    let woken = wake.next(deadline.map(|wait| start + wait)).await;
    (woken, round(start.elapsed()))
}

/// Tokio's timer rounds up to milliseconds.
fn round(elapsed: Duration) -> Duration {
    Duration::from_millis(u64::try_from(elapsed.as_millis() / 10 * 10).expect("short"))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn without_events_the_timer_wakes() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    assert_eq!(next(&mut wake, None).await, (Woken::Timer, SAFETY));
    assert_eq!(next(&mut wake, None).await, (Woken::Timer, SAFETY));
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_deadline_and_safety_wakes() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    assert_eq!(
        next(&mut wake, Some(secs(3))).await,
        (Woken::Timer, secs(3))
    );
    assert_eq!(
        next(&mut wake, Some(secs(60))).await,
        (Woken::Timer, SAFETY)
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_wakes_at_once() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    let past = Instant::now();
    advance(secs(5)).await;
    assert_eq!(wake.next(Some(past)).await, Woken::Timer);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_wake_up() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    for _ in 0..100 {
        bus.publish(&[unwanted(), wanted()]);
    }
    assert_eq!(next(&mut wake, None).await, (Woken::Signal, secs(0)));
    assert_eq!(next(&mut wake, None).await, (Woken::Timer, SAFETY));
}

#[tokio::test(start_paused = true)]
async fn unwanted_events_do_not_wake_nor_delay_the_timer() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    let noise = tokio::spawn({
        let bus = bus.clone();
        async move {
            loop {
                bus.publish(&[unwanted()]);
                tokio::time::sleep(secs(1)).await;
            }
        }
    });
    assert_eq!(next(&mut wake, None).await, (Woken::Timer, SAFETY));
    noise.abort();
}

#[tokio::test(start_paused = true)]
async fn an_event_during_the_work_wakes_once_more() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    bus.publish(&[wanted()]);
    assert_eq!(next(&mut wake, None).await.0, Woken::Signal);
    bus.publish(&[wanted()]);
    assert_eq!(next(&mut wake, None).await, (Woken::Signal, secs(0)));
}

#[tokio::test(start_paused = true)]
async fn gathering_joins_what_comes_soon_after_and_never_waits_longer() {
    let bus = Bus::default();
    let mut wake = wake(&bus).gathering(secs(2));
    let stream = tokio::spawn({
        let bus = bus.clone();
        async move {
            for _ in 0..4 {
                tokio::time::sleep(secs(1)).await;
                bus.publish(&[wanted()]);
            }
        }
    });
    // Heard at 1 s, answered at 3 s with what came at 2 s (and perhaps at 3 s).
    assert_eq!(next(&mut wake, None).await, (Woken::Signal, secs(3)));
    stream.await.expect("the stream ends");
    assert_eq!(next(&mut wake, None).await.0, Woken::Signal);
    assert_eq!(next(&mut wake, None).await.0, Woken::Timer);
}

#[tokio::test(start_paused = true)]
async fn lagging_wakes_even_when_nothing_wanted_is_left() {
    let bus = Bus::new(2);
    let mut wake = wake(&bus);
    bus.publish(&[wanted(), unwanted(), unwanted(), unwanted()]);
    assert_eq!(next(&mut wake, None).await, (Woken::Signal, secs(0)));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_wait_loses_neither_an_event_nor_time() {
    let bus = Bus::default();
    let mut gathering = wake(&bus).gathering(secs(5));
    bus.publish(&[wanted()]);
    assert!(timeout(secs(1), gathering.next(None)).await.is_err());
    assert_eq!(next(&mut gathering, None).await, (Woken::Signal, secs(4)));

    let mut timed = wake(&bus);
    assert!(timeout(secs(6), timed.next(None)).await.is_err());
    assert_eq!(next(&mut timed, None).await, (Woken::Timer, secs(4)));
}

#[tokio::test(start_paused = true)]
async fn a_closed_bus_ends_the_loop() {
    let bus = Bus::default();
    let mut wake = wake(&bus);
    bus.publish(&[unwanted()]);
    bus.close();
    assert_eq!(wake.next(None).await, Woken::Closed);
    assert_eq!(wake.next(None).await, Woken::Closed);
}
