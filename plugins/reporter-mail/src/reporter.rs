//! Writes the mail.

use crate::attachments::attachments;
use crate::headline::headline;
use crate::parameters::Parameters;
use crate::recipients::Recipients;
use serde_json::json;
use toolpost_sdk::{Delivery, Error, Level, Mail, ReportOutcome, Reporter, ReporterContext, Value};

const SUBJECT: &str = "{{ headline }}";
const TEXT: &str = include_str!("default.txt");
const HTML: &str = include_str!("default.html");

/// The reporter type `mail`.
pub(crate) struct MailReporter;

impl Reporter for MailReporter {
    const NAME: &'static str = "mail";
    const SUMMARY: &'static str = "Tells people by mail what became of builds.";
    type Parameters = Parameters;

    fn report(
        parameters: Parameters,
        delivery: &Delivery,
        ctx: &ReporterContext,
    ) -> Result<ReportOutcome, Error> {
        let builds = delivery.event.builds();
        let recipients = Recipients::of(&parameters, builds);
        if recipients.is_empty() {
            return Ok(ReportOutcome::skipped(
                "there is nobody to tell: no fixed address, and no author with one",
            ));
        }
        if recipients.left_out > 0 {
            let text = format!(
                "{} authors are left out, there are too many",
                recipients.left_out
            );
            ctx.log(Level::Warn, &text);
        }
        let count = recipients.to.len() + recipients.cc.len() + recipients.bcc.len();
        let values = values(delivery, &recipients);
        let mut mail = write(&parameters, &values, ctx)?;
        for attachment in attachments(&parameters, builds, ctx)? {
            mail = mail.attach(attachment.name, attachment.content_type, attachment.data);
        }
        address(mail, &parameters, recipients).send(&delivery.key)?;
        Ok(ReportOutcome::sent(match count {
            1 => "to 1 recipient".to_owned(),
            count => format!("to {count} recipients"),
        }))
    }
}

/// What templates see.
fn values(delivery: &Delivery, recipients: &Recipients) -> Value {
    let mut values = delivery.to_json();
    values["headline"] = json!(headline(delivery));
    values["builds"] = json!(delivery.event.builds());
    values["blamed"] = json!(recipients.blamed);
    values
}

fn write(parameters: &Parameters, values: &Value, ctx: &ReporterContext) -> Result<Mail, Error> {
    let render = |field: &str, template: &str| {
        ctx.render(template, values).map_err(|error| match error {
            Error::Config { message, .. } => Error::config(field, message),
            other => other,
        })
    };
    let subject = render("subject", parameters.subject.as_deref().unwrap_or(SUBJECT))?;
    // What people have written into names and summaries may have lines.
    let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut mail = ctx.mail(subject);
    let has_own = parameters.text.is_some() || parameters.html.is_some();
    if let Some(template) = parameters.text.as_deref().or((!has_own).then_some(TEXT)) {
        mail = mail.text(render("text", template)?);
    }
    if let Some(template) = parameters.html.as_deref().or((!has_own).then_some(HTML)) {
        mail = mail.html(render("html", template)?);
    }
    for (name, template) in &parameters.headers {
        mail = mail.header(name, render(&format!("headers.{name}"), template)?);
    }
    Ok(mail)
}

fn address(mut mail: Mail, parameters: &Parameters, recipients: Recipients) -> Mail {
    for to in recipients.to {
        mail = mail.to(to);
    }
    for cc in recipients.cc {
        mail = mail.cc(cc);
    }
    for bcc in recipients.bcc {
        mail = mail.bcc(bcc);
    }
    if let Some(sender) = &parameters.sender {
        mail = mail.sender(sender);
    }
    if let Some(reply_to) = &parameters.reply_to {
        mail = mail.reply_to(reply_to);
    }
    mail
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolpost_sdk::mock::MockReporterHost;
    use toolpost_sdk::reporter::{
        BuildReport, BuildsetReport, Event, LogReport, RequestReport, StepReport, WorkerReport,
    };
    use toolpost_sdk::{Change, MailMessage, Results};

    fn step(number: u32, name: &str, results: Results, log: u64) -> StepReport {
        StepReport {
            number,
            name: name.to_owned(),
            summary: "3 failed".to_owned(),
            results: Some(results),
            logs: vec![LogReport {
                id: log,
                name: "stdio".to_owned(),
                lines: 3,
                url: format!("https://farm.example.org/logs/{log}"),
            }],
            ..StepReport::default()
        }
    }

    fn failed() -> Delivery {
        Delivery::of(Event::BuildFinished(BuildReport {
            builder: "linux".to_owned(),
            number: 12,
            url: "https://farm.example.org/builds/12".to_owned(),
            worker: "w1".to_owned(),
            reason: "a change".to_owned(),
            summary: "3 <failed>".to_owned(),
            results: Some(Results::Failure),
            previous_results: Some(Results::Failure),
            changes: vec![Change {
                author: "Ann <ann@example.org>".to_owned(),
                comments: "Speed it up & more\n\nBy far.".to_owned(),
                revision: Some("abc123".to_owned()),
                ..Change::default()
            }],
            steps: vec![
                step(0, "compile", Results::Success, 1),
                step(1, "unit tests", Results::Failure, 2),
            ],
            ..BuildReport::default()
        }))
    }

    fn host() -> MockReporterHost {
        MockReporterHost::new()
            .log_text(1, "gcc\ngcc\ngcc\n")
            .log_text(2, "ok 1\nnot ok 2\nnot ok 3\n")
    }

    fn send(parameters: Value, delivery: &Delivery) -> MailMessage {
        let host = host();
        let outcome = host.report::<MailReporter>(parameters, delivery);
        assert!(matches!(outcome, Ok(ReportOutcome::Sent(_))), "{outcome:?}");
        assert_eq!(host.mail_keys(), [delivery.key.as_str()]);
        host.mails().remove(0)
    }

    #[test]
    fn a_failure_is_told_to_its_author() {
        let mail = send(json!({}), &failed());
        assert_eq!(mail.to, ["ann@example.org"]);
        assert_eq!(mail.subject, "Build 12 of linux failed again");
        assert_eq!(
            mail.text.as_deref(),
            Some(
                "Build 12 of linux failed again\n\n\
                 linux 12: failure, 3 <failed>\n\
                 Page:   https://farm.example.org/builds/12\n\
                 Reason: a change\n\
                 Worker: w1\n\
                 Change: abc123 Ann <ann@example.org>: Speed it up & more\n\
                 Step:   unit tests: failure, 3 failed\n\
                 \u{20}       https://farm.example.org/logs/2\n"
            )
        );
        let html = mail.html.expect("it has HTML");
        for part in [
            "<b>failure</b>, 3 &lt;failed&gt;<br>",
            "abc123\nAnn &lt;ann@example.org&gt;: Speed it up &amp; more</li>",
            "<p>unit tests: <b>failure</b>, 3 failed <a href=\"https:&#x2f;&#x2f;farm.example.org&#x2f;logs&#x2f;2\">stdio</a></p>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        let [log] = &mail.attachments[..] else {
            panic!("one log: {:?}", mail.attachments)
        };
        assert_eq!(log.name, "linux-12-1-unit-tests-stdio.txt");
        assert_eq!(log.data, b"ok 1\nnot ok 2\nnot ok 3\n");
    }

    #[test]
    fn templates_take_the_place_of_the_usual_text() {
        let mail = send(
            json!({
                "to": ["sheriff@example.org"],
                "blamed": false,
                "sender": "farm@example.org",
                "reply_to": "help@example.org",
                "subject": "[{{ build.builder }}]\n {{ headline }}",
                "text": "{{ event }} {{ blamed }}",
                "headers": {"List-Id": "<{{ build.builder }}.example.org>"},
                "attach_logs": "never",
            }),
            &failed(),
        );
        assert_eq!(mail.to, ["sheriff@example.org"]);
        assert_eq!(mail.subject, "[linux] Build 12 of linux failed again");
        assert_eq!(
            (mail.text.as_deref(), mail.html),
            (Some("build-finished []"), None)
        );
        assert_eq!(
            mail.headers,
            [("List-Id".to_owned(), "<linux.example.org>".to_owned())]
        );
        assert_eq!(mail.sender.as_deref(), Some("farm@example.org"));
        assert_eq!(mail.reply_to.as_deref(), Some("help@example.org"));
        assert_eq!(mail.attachments, []);
    }

    #[test]
    fn long_logs_are_cut_at_the_front() {
        let text: String = (0..20_000).map(|n| format!("line {n:05}\n")).collect();
        let Event::BuildFinished(mut build) = failed().event else {
            unreachable!()
        };
        build.steps = (0..100)
            .map(|n| step(n, "s", Results::Exception, 7))
            .collect();
        for step in &mut build.steps {
            step.logs[0].lines = 20_000;
        }
        let host = MockReporterHost::new().log_text(7, &text);
        let parameters = json!({"attach_logs": "all-steps", "log_bytes_max": 50_000});
        let delivery = Delivery::of(Event::BuildFinished(build));
        host.report::<MailReporter>(parameters, &delivery)
            .expect("it is sent");
        let logs = &host.mails()[0].attachments;
        assert_eq!(logs[0].data, &text.as_bytes()[text.len() - 4_545 * 11..]);
        let all: usize = logs.iter().map(|log| log.data.len()).sum();
        assert!((3_000_000..=3 * 1024 * 1024).contains(&all), "{all} bytes");
    }

    #[test]
    fn every_event_has_a_usual_text() {
        let worker = WorkerReport {
            name: "w1".to_owned(),
            url: "https://farm.example.org/workers/1".to_owned(),
            ..WorkerReport::default()
        };
        let mail = send(
            json!({"to": ["ops@example.org"]}),
            &Delivery::of(Event::WorkerLost(worker)),
        );
        assert_eq!(
            mail.text.as_deref(),
            Some("Worker w1 is lost\n\nPage: https://farm.example.org/workers/1\n")
        );
        let build = BuildReport {
            builder: "linux".to_owned(),
            ..BuildReport::default()
        };
        let request = RequestReport {
            builder: "linux".to_owned(),
            ..RequestReport::default()
        };
        let buildset = BuildsetReport {
            builds: vec![build.clone()],
            ..BuildsetReport::default()
        };
        for event in [
            Event::RequestAdded(request),
            Event::BuildStarted(build),
            Event::BuildsetComplete(buildset),
        ] {
            let mail = send(json!({"to": ["ops@example.org"]}), &Delivery::of(event));
            let (text, html) = (mail.text.unwrap_or_default(), mail.html.unwrap_or_default());
            assert!(text.starts_with(&mail.subject), "{text}");
            assert!(
                html.contains(&format!("<h2>{}</h2>", mail.subject)),
                "{html}"
            );
        }
    }

    #[test]
    fn without_anybody_there_is_no_mail() {
        let host = host();
        let outcome = host.report::<MailReporter>(json!({"blamed": false}), &failed());
        assert!(
            matches!(outcome, Ok(ReportOutcome::Skipped(_))),
            "{outcome:?}"
        );
        assert_eq!(host.mails(), []);
    }

    #[test]
    fn what_the_server_says_decides() {
        let host = host().mail_error(Error::retryable("greylisted"));
        let report = || host.report::<MailReporter>(json!({}), &failed());
        assert_eq!(report(), Err(Error::retryable("greylisted")));
        assert_eq!(report(), Ok(ReportOutcome::sent("to 1 recipient")));
        let error = host.report::<MailReporter>(json!({"text": "{{ nothing }}"}), &failed());
        let error = error.expect_err("the name is not there").to_string();
        assert!(error.starts_with("parameter `text`: "), "{error}");
    }
}
