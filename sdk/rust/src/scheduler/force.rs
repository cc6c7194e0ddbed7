//! What a person fills in who forces a scheduler.

use crate::plugin::from_parameters;
use crate::{Error, Value};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// What a person fills in who forces a scheduler: any type with a JSON Schema of an object, or [`NotForced`].
pub trait ForceValues: Sized {
    /// The JSON Schema of the form; `None` when the scheduler cannot be forced.
    fn schema() -> Option<Value>;

    /// What was filled in.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it does not fit.
    fn parse(values: Value) -> Result<Self, Error>;
}

impl<T: DeserializeOwned + JsonSchema> ForceValues for T {
    fn schema() -> Option<Value> {
        Some(schemars::schema_for!(T).to_value())
    }

    fn parse(values: Value) -> Result<Self, Error> {
        from_parameters(values)
    }
}

/// For schedulers that cannot be forced. There is no value of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotForced {}

impl ForceValues for NotForced {
    fn schema() -> Option<Value> {
        None
    }

    fn parse(_: Value) -> Result<Self, Error> {
        Err(Error::permanent("this scheduler cannot be forced"))
    }
}
