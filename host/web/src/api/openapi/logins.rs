//! How programs say who acts, and how they log in and out.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Ref, Required, Response, ResponseBuilder,
};

use super::components::refusal_name;
use super::operations::parameter;
use super::others::{in_path, named};
use super::shapes::{closed_object, short_text, text};
use crate::auth::cookie_name;

/// Tag of what is here.
const TAG: &str = "log-in";
const SESSION: &str = "session";
const SECURE_SESSION: &str = "secure_session";
const BEARER: &str = "bearer";
const BASIC: &str = "basic";

/// Adds the ways to say who acts.
pub(super) fn schemes(components: ComponentsBuilder) -> ComponentsBuilder {
    let cookie = |is_https: bool, about: &str| {
        let value = ApiKeyValue::with_description(cookie_name(is_https), about);
        SecurityScheme::ApiKey(ApiKey::Cookie(value))
    };
    let http = |scheme, about: &str| {
        let http = HttpBuilder::new().scheme(scheme).description(Some(about));
        SecurityScheme::Http(http.build())
    };
    components
        .security_scheme(SESSION, cookie(false, "The cookie of `/auth/login`."))
        .security_scheme(
            SECURE_SESSION,
            cookie(true, "The same where the farm is reached by HTTPS."),
        )
        .security_scheme(
            BEARER,
            http(
                HttpAuthScheme::Bearer,
                "A token, as `toolpost token create` makes it.",
            ),
        )
        .security_scheme(
            BASIC,
            http(
                HttpAuthScheme::Basic,
                "Name and password, for `/auth/login` only.",
            ),
        )
}

fn by(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, [""; 0])
}

fn nobody() -> SecurityRequirement {
    SecurityRequirement::default()
}

/// Says who may be asked to say who they are: for each operation that says nothing of it. Whether it is enough to say nothing is up to the
/// rules of the farm.
pub(super) fn guarded(mut operation: Operation) -> Operation {
    if operation.security.is_some() {
        return operation;
    }
    operation.security = Some(vec![by(SESSION), by(SECURE_SESSION), by(BEARER), nobody()]);
    let answers = &mut operation.responses.responses;
    if !answers.contains_key("4XX") {
        for status in ["401", "403", "429"] {
            let refused = Ref::from_response_name(refusal_name("refused", "4XX"));
            answers.entry(status.to_owned()).or_insert(refused.into());
        }
    }
    operation
}

/// For what only somebody may do who has logged in, and no token of theirs.
pub(super) fn in_person(operation: OperationBuilder) -> OperationBuilder {
    operation.securities(Some([by(SESSION), by(SECURE_SESSION)]))
}

/// Paths and what is asked for there.
pub(super) fn logins() -> [(&'static str, HttpMethod, Operation); 7] {
    [
        ("/login", HttpMethod::Get, page()),
        ("/auth/login", HttpMethod::Get, basic()),
        ("/auth/login", HttpMethod::Post, form()),
        ("/auth/logout", HttpMethod::Get, logout("get_auth_logout")),
        ("/auth/logout", HttpMethod::Post, logout("post_auth_logout")),
        ("/auth/provider/{provider}", HttpMethod::Get, provider()),
        ("/auth/callback/{provider}", HttpMethod::Get, callback()),
    ]
}

/// An operation that takes whoever comes, and may refuse in words.
fn open(id: &str, summary: &str) -> OperationBuilder {
    let words = |about: &str| {
        let content = || ContentBuilder::new().schema(Some(text())).build();
        ResponseBuilder::new()
            .description(about)
            .content("text/html", content())
            .content("text/plain", content())
            .content("application/json", ContentBuilder::new().build())
            .build()
    };
    named(id, TAG, summary)
        .security(nobody())
        .response("4XX", words("It is refused: the text says why."))
        .response(
            "5XX",
            words("It could not be done; the log of the master says why."),
        )
}

fn redirect() -> utoipa::openapi::path::ParameterBuilder {
    let about = "The page of this farm to lead to; its first one without it.";
    parameter("redirect", about, text())
}

/// An answer that leads elsewhere, and may set a cookie.
fn leads(about: &str, sets_cookie: bool) -> Response {
    let header = |about: &str| {
        HeaderBuilder::new()
            .schema(Some(text()))
            .description(Some(about))
            .build()
    };
    let response = ResponseBuilder::new()
        .description(about)
        .header("Location", header("Where to."));
    match sets_cookie {
        true => response.header("Set-Cookie", header("What to show from then on.")),
        false => response,
    }
    .build()
}

fn page() -> Operation {
    let content = ContentBuilder::new().schema(Some(text())).build();
    open("get_login", "The page on which people log in")
        .parameter(redirect())
        .response(
            "200",
            ResponseBuilder::new()
                .description("The page.")
                .content("text/html", content)
                .build(),
        )
        .response("303", leads("Nobody has to log in here.", false))
        .build()
}

fn basic() -> Operation {
    open(
        "get_auth_login",
        "Logs in with name and password, as with a Buildbot master",
    )
    .security(by(BASIC))
    .parameter(redirect())
    .response("302", leads("Whoever shows the cookie is logged in.", true))
    .response(
        "303",
        leads(
            "Nobody has to log in, or somebody has; browsers are led to the page.",
            false,
        ),
    )
    .build()
}

fn form() -> Operation {
    let members = ["username", "password", "redirect"].map(|name| (name.to_owned(), text()));
    let shape = closed_object(members, ["username", "password"]);
    let content = ContentBuilder::new().schema(Some(shape)).build();
    let body = RequestBodyBuilder::new()
        .content("application/x-www-form-urlencoded", content)
        .required(Some(Required::True))
        .build();
    open(
        "post_auth_login",
        "Logs in with name and password, as the page does",
    )
    .request_body(Some(body))
    .response("302", leads("Whoever shows the cookie is logged in.", true))
    .build()
}

fn logout(id: &str) -> Operation {
    open(
        id,
        "Logs out: what the cookie shows is good for nothing any more",
    )
    .security(by(SESSION))
    .security(by(SECURE_SESSION))
    .parameter(redirect())
    .response("302", leads("It is done.", true))
    .response(
        "303",
        leads("A page of another site logs nobody out.", false),
    )
    .build()
}

fn provider() -> Operation {
    let name = in_path(
        "provider",
        "Its name in the configuration.",
        short_text(100),
    );
    open(
        "get_auth_provider",
        "Leads a browser to a provider, to log in there",
    )
    .parameter(name)
    .parameter(redirect())
    .response("303", leads("To the provider.", true))
    .build()
}

fn callback() -> Operation {
    let name = in_path(
        "provider",
        "Its name in the configuration.",
        short_text(100),
    );
    let told = |name, about| parameter(name, about, text());
    open(
        "get_auth_callback",
        "Where a provider leads a browser back to",
    )
    .parameter(name)
    .parameter(told("state", "What it was led there with."))
    .parameter(told("code", "What the farm asks the provider with."))
    .parameter(told("error", "Why it does not."))
    .parameter(told("iss", "Which provider it is."))
    .response("302", leads("Whoever shows the cookie is logged in.", true))
    .build()
}
