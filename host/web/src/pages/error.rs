//! Pages for what went wrong.

use askama::Template;

use super::shell::{Ask, Section, Shell};
use crate::error::ApiError;
use crate::state::Web;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    code: u16,
    heading: &'static str,
    message: String,
}

/// The page of an error.
pub(crate) fn render(web: &Web, ask: &Ask, error: &ApiError) -> Result<String, ApiError> {
    let code = error.status().as_u16();
    let heading = match code {
        404 => "Not found",
        403 => "Refused",
        409 => "Too late",
        503 => "Busy",
        400..500 => "This request cannot be answered",
        _ => "Something broke",
    };
    let page = ErrorPage {
        shell: Shell::new(web, ask, Section::Other, heading),
        code,
        heading,
        message: error.to_string(),
    };
    Ok(page.render()?)
}
