//! Recordings of steps.

use bytes::Bytes;

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::NewStep;

both! {
    async fn only_the_newest_recordings_are_kept(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, build) = (&farm.store, farm.running().await);
        let steps = vec![NewStep::default(), NewStep::default(), NewStep::default()];
        let steps = store.add_steps(build, steps).await.unwrap();
        for (second, step) in (1..).zip(&steps) {
            let recording = Bytes::from(format!("recording of {step}"));
            store
                .add_step_recording(*step, recording, at(second), 2)
                .await
                .unwrap();
        }
        assert_eq!(store.recorded_steps(build).await.unwrap(), steps[1..]);
        assert_eq!(store.step_recording(steps[0]).await.unwrap(), None);
        let last = store.step_recording(steps[2]).await.unwrap().unwrap();
        assert_eq!(last, format!("recording of {}", steps[2]));
    }
}
