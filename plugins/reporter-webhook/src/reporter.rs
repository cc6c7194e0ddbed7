//! Makes the request and judges the answer.

use crate::parameters::{Parameters, Signature};
use std::collections::BTreeMap;
use std::time::Duration;
use toolpost_sdk::{Delivery, Error, ReportOutcome, Reporter, ReporterContext, Value};

/// The reporter type `webhook`.
pub(crate) struct Webhook;

impl Reporter for Webhook {
    const NAME: &'static str = "webhook";
    const SUMMARY: &'static str = "Posts what happens to builds to a web address.";
    type Parameters = Parameters;

    fn report(
        parameters: Parameters,
        delivery: &Delivery,
        ctx: &ReporterContext,
    ) -> Result<ReportOutcome, Error> {
        let templates = Templates::new(&parameters, delivery, ctx)?;
        let body = match &parameters.body {
            Some(template) => templates.render("body", template)?,
            None => delivery.to_json().to_string(),
        };
        let mut request = ctx
            .http()
            .request(
                parameters.method.name(),
                templates.render("url", &parameters.url)?,
            )
            .timeout(Duration::from_secs(parameters.timeout_s))
            .header("Content-Type", &parameters.content_type)
            .header(&parameters.idempotency_header, &delivery.key);
        for (name, template) in &parameters.headers {
            let value = templates.render(&format!("headers.{name}"), template)?;
            request = request.header(name, value);
        }
        if let Some(signature) = &parameters.signature {
            templates.refuse_secrets_in(&body)?;
            request = request.header(&signature.header, sign(signature, &body, ctx)?);
        }
        let response = request.body(body).send()?.error_for_status()?;
        Ok(ReportOutcome::sent(format!(
            "the server answered {}",
            response.status
        )))
    }
}

/// Renders the templates of the parameters.
struct Templates<'a> {
    ctx: &'a ReporterContext,
    values: Value,
    placeholders: Vec<String>,
}

impl<'a> Templates<'a> {
    fn new(
        parameters: &Parameters,
        delivery: &Delivery,
        ctx: &'a ReporterContext,
    ) -> Result<Self, Error> {
        let mut secrets = BTreeMap::new();
        for name in &parameters.secrets {
            secrets.insert(name.clone(), ctx.secret(name)?);
        }
        let placeholders = secrets.values().cloned().collect();
        let mut values = delivery.to_json();
        values["secrets"] = secrets.into_iter().collect();
        Ok(Self {
            ctx,
            values,
            placeholders,
        })
    }

    fn render(&self, field: &str, template: &str) -> Result<String, Error> {
        self.ctx
            .render(template, &self.values)
            .map_err(|error| match error {
                Error::Config { message, .. } => Error::config(field, message),
                other => other,
            })
    }

    /// What is signed here is not what arrives when secrets are put into it on the way.
    fn refuse_secrets_in(&self, body: &str) -> Result<(), Error> {
        let has_secret = self
            .placeholders
            .iter()
            .any(|placeholder| body.contains(placeholder));
        if has_secret {
            let text = "a body with secrets in it cannot be signed; send them in headers";
            return Err(Error::config("signature", text));
        }
        Ok(())
    }
}

fn sign(signature: &Signature, body: &str, ctx: &ReporterContext) -> Result<String, Error> {
    let mac = ctx.hmac_sha256(&signature.secret, body.as_bytes())?;
    let digits: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}{digits}", signature.prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toolpost_sdk::mock::{MockReporterHost, MockResponse};
    use toolpost_sdk::reporter::{BuildReport, Event, WorkerReport};
    use toolpost_sdk::{HttpError, Results};

    fn finished() -> Delivery {
        Delivery::of(Event::BuildFinished(BuildReport {
            builder: "linux \"64\"".to_owned(),
            number: 12,
            results: Some(Results::Failure),
            ..BuildReport::default()
        }))
    }

    #[test]
    fn everything_that_is_known_is_posted() {
        let host = MockReporterHost::new().http(MockResponse::new(202));
        let parameters = json!({"url": "https://hooks.example.org/x"});
        let outcome = host.report::<Webhook>(parameters, &finished());
        assert_eq!(outcome, Ok(ReportOutcome::sent("the server answered 202")));
        let [request] = &host.requests()[..] else {
            panic!("one request")
        };
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", "https://hooks.example.org/x")
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("idempotency-key"), Some("delivery-1"));
        let body: Value = serde_json::from_slice(&request.body).expect("it is JSON");
        assert_eq!(body["event"], "build-finished");
        assert_eq!(body["build"]["results"], "failure");
        assert_eq!(body["build"]["number"], 12);
        assert_eq!(body.get("secrets"), None);
    }

    #[test]
    fn templates_shape_the_request() {
        let host = MockReporterHost::new()
            .secret("chat-token", "s3cret")
            .http(MockResponse::new(200));
        let parameters = json!({
            "url": "https://chat.example.org/{{ event }}",
            "method": "PUT",
            "secrets": ["chat-token"],
            "headers": {"Authorization": "Bearer {{ secrets['chat-token'] }}"},
            "body": r#"{"text": {{ (build.builder ~ ": " ~ build.results) | tojson }}}"#,
            "idempotency_header": "X-Request-Id",
        });
        host.report::<Webhook>(parameters, &finished())
            .expect("it is sent");
        let [request] = &host.requests()[..] else {
            panic!("one request")
        };
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("PUT", "https://chat.example.org/build-finished")
        );
        assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
        assert_eq!(request.header("x-request-id"), Some("delivery-1"));
        assert_eq!(
            String::from_utf8_lossy(&request.body),
            r#"{"text": "linux \"64\": failure"}"#
        );
    }

    #[test]
    fn a_receiver_can_check_the_signature() {
        let host = MockReporterHost::new()
            .secret("hook-key", "It's a Secret to Everybody")
            .http(MockResponse::new(200));
        let parameters = json!({
            "url": "https://hooks.example.org",
            "body": "Hello, World!",
            "signature": {"secret": "hook-key"},
        });
        host.report::<Webhook>(parameters, &finished())
            .expect("it is sent");
        // The example of GitHub's documentation on validating webhook deliveries.
        assert_eq!(
            host.requests()[0].header("x-hub-signature-256"),
            Some("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
        );
    }

    #[test]
    fn only_what_time_may_heal_is_tried_again() {
        let check = |host: MockReporterHost, expected| {
            let parameters = json!({"url": "https://hooks.example.org"});
            assert_eq!(
                host.report::<Webhook>(parameters, &finished()),
                Err(expected)
            );
        };
        check(
            MockReporterHost::new().http(MockResponse::new(429).header("Retry-After", "60")),
            Error::retryable("the server answered 429, try again after 60"),
        );
        check(
            MockReporterHost::new().http(MockResponse::new(502).body("bad gateway")),
            Error::retryable("the server answered 502: bad gateway"),
        );
        check(
            MockReporterHost::new().http_error(HttpError::Timeout),
            Error::retryable("the server took too long to answer"),
        );
        check(
            MockReporterHost::new().http(MockResponse::new(404)),
            Error::permanent("the server answered 404"),
        );
    }

    #[test]
    fn parameters_that_make_no_sense_are_named() {
        let check = |mut parameters: Value, delivery: &Delivery, expected: &str| {
            let host = MockReporterHost::new().secret("known", "s3cret");
            if parameters.get("url").is_none() {
                parameters["url"] = json!("https://hooks.example.org");
            }
            let error = host
                .report::<Webhook>(parameters, delivery)
                .expect_err("it is refused");
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(host.requests(), []);
        };
        let lost = Delivery::of(Event::WorkerLost(WorkerReport::default()));
        check(
            json!({"body": "{{ build.builder }}"}),
            &lost,
            "parameter `body`: ",
        );
        check(
            json!({"headers": {"X-A": "{{"}}),
            &lost,
            "parameter `headers.X-A`: ",
        );
        check(
            json!({"secrets": ["other"]}),
            &lost,
            "there is no secret `other`",
        );
        check(
            json!({"secrets": ["known"], "body": "{{ secrets.known }}", "signature": {"secret": "known"}}),
            &lost,
            "a body with secrets in it cannot be signed",
        );
        check(json!({"method": "GET"}), &lost, "parameter `method`");
    }
}
