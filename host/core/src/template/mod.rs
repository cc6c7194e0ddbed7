//! Texts with expressions in them: `{{ prop.branch }}`, `{{ src.revision | default("newest") }}`.
//!
//! One language for properties, commands and messages: that of minijinja (Jinja2). Rendering is pure and
//! bounded: a [`Scope`] of values goes in, a text or a JSON value comes out, and [`TemplateLimits`] say how
//! much work and output it may be. There is no access to files, environment or time.
//!
//! Something that is not defined is an error, not an empty text, unless the template says what then:
//! `{{ prop.target | default("all") }}`. A text that is exactly one `{{ expression }}` keeps the type of the
//! value, so that `"{{ prop.jobs }}"` can be a number or a list.

mod check;
mod error;
mod render;
mod scan;
mod scope;
#[cfg(test)]
mod tests;

pub use error::{TemplateError, TemplateErrorKind};
pub use render::{TemplateLimits, Templates};
pub use scope::{BuildScope, Scope, SourceScope, WorkerScope};
