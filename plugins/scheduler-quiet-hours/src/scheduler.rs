//! Brings calendar and waiting changes together.

use crate::calendar::Calendar;
use crate::parameters::Parameters;
use crate::waiting::Waiting;
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolpost_sdk::scheduler::Event;
use toolpost_sdk::{Error, Level, Reaction, Scheduler, SchedulerContext};

/// The scheduler type `quiet-hours`.
pub(crate) struct QuietHours;

/// What it remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    waiting: Waiting,
}

/// Passes on at once what waits, though it is closed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PassOn {}

impl Scheduler for QuietHours {
    const NAME: &'static str = "quiet-hours";
    const SUMMARY: &'static str = "Passes changes on only within a calendar of windows.";
    type Parameters = Parameters;
    type State = State;
    type Force = PassOn;

    fn handle(
        parameters: Parameters,
        state: State,
        event: Event<PassOn>,
        ctx: &SchedulerContext,
    ) -> Result<Reaction<State>, Error> {
        let calendar = parameters.calendar()?;
        let now = timestamp(ctx.now_ms())?;
        let mut reaction = Reaction::new(state);
        let mut is_forced = false;
        match event {
            Event::Change(change) => {
                if !parameters.takes(change.branch.as_deref()) {
                    return Ok(reaction);
                }
                if let Some(branch) = reaction.state.waiting.add(&change) {
                    ctx.log(
                        Level::Warn,
                        "too many branches wait; the oldest is passed on at once",
                    );
                    reaction = reaction.build(branch.buildset(&parameters.reason));
                }
            }
            Event::Force(_) => is_forced = true,
            Event::Configured(_) => refuse_closed_forever(&calendar, now)?,
            Event::Timer | Event::BuildFinished(_) | Event::BuildsetComplete(_) => {}
        }
        if is_forced || calendar.is_open(now) {
            for branch in reaction.state.waiting.take() {
                reaction = reaction.build(branch.buildset(&parameters.reason));
            }
        }
        Ok(wait(reaction, &calendar, &parameters.zone()?, now))
    }
}

/// Sleeps until it opens or closes, and says what people can expect.
fn wait(
    reaction: Reaction<State>,
    calendar: &Calendar,
    zone: &TimeZone,
    now: Timestamp,
) -> Reaction<State> {
    let next = calendar.next_change(now);
    let until = next.map_or(String::new(), |next| {
        format!(" until {}", shown(next, zone))
    });
    let status = match (calendar.is_open(now), reaction.state.waiting.count()) {
        (true, _) => format!("open{until}"),
        (false, 0) => format!("closed{until}"),
        (false, 1) => format!("closed{until}, 1 change waits"),
        (false, count) => format!("closed{until}, {count} changes wait"),
    };
    let reaction = reaction.status(status);
    let next_ms = next.and_then(|next| u64::try_from(next.as_millisecond()).ok());
    match next_ms {
        Some(next_ms) => reaction.wake_at_ms(next_ms),
        None => reaction.no_wake(),
    }
}

/// A time for people, such as `Mon 2026-06-01 20:00 CEST`. By hand, as in `parameters`.
fn shown(at: Timestamp, zone: &TimeZone) -> String {
    let day = match zone.to_datetime(at).weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    let local = zone.to_datetime(at);
    let info = zone.to_offset_info(at);
    format!(
        "{day} {}-{:02}-{:02} {:02}:{:02} {}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        info.abbreviation()
    )
}

fn refuse_closed_forever(calendar: &Calendar, now: Timestamp) -> Result<(), Error> {
    if !calendar.is_open(now) && calendar.next_change(now).is_none() {
        return Err(Error::config("open", "no window begins within a year"));
    }
    Ok(())
}

fn timestamp(ms: u64) -> Result<Timestamp, Error> {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .ok_or_else(|| Error::permanent(format!("the time {ms} is beyond the calendar")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toolpost_sdk::Change;
    use toolpost_sdk::mock::SchedulerRun;

    fn run(at: &str) -> SchedulerRun<QuietHours> {
        let parameters = json!({
            "open": [{"from": "20:00", "to": "06:00"}],
            "zone": "Europe/Berlin",
            "branches": ["main", "release/*"],
        });
        SchedulerRun::new(parameters).start_at_ms(ms(at))
    }

    fn ms(at: &str) -> u64 {
        let at: Timestamp = at.parse().expect("a time");
        u64::try_from(at.as_millisecond()).expect("it is after 1970")
    }

    fn change(id: u64, branch: &str) -> Change {
        Change {
            id,
            branch: Some(branch.to_owned()),
            revision: Some(format!("r{id}")),
            ..Change::default()
        }
    }

    #[test]
    fn changes_wait_for_the_window() {
        let mut run = run("2026-06-01T10:00:00Z");
        run.change(change(1, "main"));
        run.change(change(2, "topic"));
        run.change(change(3, "main"));
        run.change(change(4, "release/1"));
        assert_eq!(
            run.status(),
            "closed until Mon 2026-06-01 20:00 CEST, 3 changes wait"
        );
        run.advance_to_ms(ms("2026-06-01T17:59:59Z"));
        assert_eq!(run.buildsets(), []);
        run.advance_to_ms(ms("2026-06-01T18:00:00Z"));
        let changes: Vec<_> = run
            .buildsets()
            .iter()
            .map(|new| new.changes.clone())
            .collect();
        assert_eq!(changes, [vec![1, 3], vec![4]]);
        assert_eq!(
            run.buildsets()[0].source_stamps[0].revision.as_deref(),
            Some("r3")
        );
        assert_eq!(run.status(), "open until Tue 2026-06-02 06:00 CEST");
        run.advance_to_ms(ms("2026-06-03T12:00:00Z"));
        assert_eq!(run.buildsets().len(), 2, "nothing is built twice");
        assert_eq!(run.status(), "closed until Wed 2026-06-03 20:00 CEST");
    }

    #[test]
    fn changes_pass_while_a_window_is_open() {
        let mut run = run("2026-06-01T22:00:00Z");
        run.change(change(1, "main"));
        run.change(change(2, "main"));
        let changes: Vec<_> = run
            .buildsets()
            .iter()
            .map(|new| new.changes.clone())
            .collect();
        assert_eq!(changes, [vec![1], vec![2]]);
    }

    #[test]
    fn who_cannot_wait_forces_it() {
        let mut run = run("2026-06-01T10:00:00Z");
        run.change(change(1, "main"));
        run.force("ann", "release today", json!({}))
            .expect("it is taken");
        assert_eq!(run.buildsets().len(), 1);
        assert_eq!(run.status(), "closed until Mon 2026-06-01 20:00 CEST");
    }

    #[test]
    fn a_new_calendar_holds_at_once() {
        let mut run = run("2026-06-01T10:00:00Z");
        run.change(change(1, "main"));
        run.reconfigure(json!({"open": [{"from": "00:00", "to": "24:00"}]}))
            .expect("it is fine");
        assert_eq!(run.buildsets().len(), 1);
        assert_eq!((run.status(), run.wake_at_ms()), ("open", None));
    }

    #[test]
    fn parameters_that_make_no_sense_are_named() {
        let check = |parameters, expected: &str| {
            let error = SchedulerRun::<QuietHours>::new(parameters).configure();
            let error = error.expect_err("it is refused").to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        let open = json!([{"from": "20:00", "to": "06:00"}]);
        check(
            json!({"open": open, "zone": "Mars"}),
            "parameter `zone`: `Mars` is no time zone",
        );
        check(
            json!({"open": open, "closed_on": ["x"]}),
            "parameter `closed_on[0]`: `x` is no day",
        );
        check(
            json!({"open": [{"from": "8", "to": "25:00"}]}),
            "parameter `open[0].from`: `8` is no time",
        );
        check(
            json!({"open": []}),
            "parameter `open`: no window begins within a year",
        );
    }
}
