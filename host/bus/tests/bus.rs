//! What a subscriber may rely on.

use toolpost_bus::{Bus, Signal, Topic};
use toolpost_core::{BuildId, BuilderId, Event, MasterId};

fn event(number: i64) -> Event {
    Event::Builder(BuilderId(number))
}

/// Everything that can be heard without waiting.
fn heard(subscription: &mut toolpost_bus::Subscription) -> Vec<Signal> {
    std::iter::from_fn(|| subscription.try_recv()).collect()
}

#[tokio::test]
async fn every_subscriber_hears_everything_in_order() {
    let bus = Bus::default();
    let same = bus.clone();
    let (mut one, mut two) = (bus.subscribe(), same.subscribe());
    bus.publish(&[event(1), event(2)]);
    same.publish(&[event(3)]);
    let expected: Vec<_> = (1..=3).map(|n| Signal::Event(event(n))).collect();
    assert_eq!(heard(&mut one), expected);
    assert_eq!(heard(&mut two), expected);
}

#[tokio::test]
async fn a_subscriber_hears_nothing_from_before() {
    let bus = Bus::default();
    bus.publish(&[event(1)]);
    let mut late = bus.subscribe();
    bus.publish(&[event(2)]);
    assert_eq!(heard(&mut late), [Signal::Event(event(2))]);
}

#[tokio::test]
async fn a_slow_subscriber_lags_and_slows_nobody() {
    let bus = Bus::new(4);
    let (mut slow, mut quick) = (bus.subscribe(), bus.subscribe());
    for n in 1..=10 {
        bus.publish(&[event(n)]);
        assert_eq!(quick.recv().await, Some(Signal::Event(event(n))));
    }
    let mut expected = vec![Signal::Lagged(6)];
    expected.extend((7..=10).map(|n| Signal::Event(event(n))));
    assert_eq!(heard(&mut slow), expected);
}

#[tokio::test]
async fn closing_lets_subscribers_hear_the_rest_and_then_the_end() {
    let bus = Bus::default();
    let mut subscription = bus.subscribe();
    let other = bus.clone();
    bus.publish(&[event(1)]);
    other.close();
    bus.publish(&[event(2)]);
    assert_eq!(subscription.recv().await, Some(Signal::Event(event(1))));
    assert_eq!(subscription.recv().await, None);
    assert_eq!(bus.subscribe().recv().await, None);
}

#[tokio::test]
async fn the_last_clone_dropped_closes_the_bus() {
    let bus = Bus::default();
    let mut subscription = bus.subscribe();
    drop(bus);
    assert_eq!(subscription.recv().await, None);
}

#[tokio::test]
async fn dropping_a_subscription_leaves_the_bus() {
    let bus = Bus::default();
    let subscription = bus.subscribe();
    assert_eq!(bus.subscribers(), 1);
    drop(subscription);
    assert_eq!(bus.subscribers(), 0);
    bus.publish(&[event(1)]);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_from_another_thread() {
    let bus = Bus::default();
    let mut subscription = bus.subscribe();
    let publisher = std::thread::spawn({
        let bus = bus.clone();
        move || bus.publish(&[event(1)])
    });
    assert_eq!(subscription.recv().await, Some(Signal::Event(event(1))));
    publisher.join().expect("the publisher ends");
}

#[test]
fn what_happened_is_counted_by_topic_whether_somebody_listens_or_not() {
    let bus = Bus::default();
    let counts =
        || [Topic::Builders, Topic::Builds, Topic::Setup].map(|topic| bus.published(topic));
    assert_eq!(counts(), [0, 0, 0]);
    bus.publish(&[event(1), Event::Master(MasterId(1))]);
    bus.publish(&[Event::BuildStarted(BuildId(1), BuilderId(1))]);
    assert_eq!(counts(), [2, 1, 0]);
    bus.clone()
        .publish(&[Event::Configuration, Event::BuildsetAdded(1.into())]);
    assert_eq!(counts(), [2, 1, 1]);
}
