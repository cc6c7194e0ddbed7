//! The resources of the REST API as rows.

use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, ChangeSource, Log, Master, Scheduler,
    SourceStamp, Step, Worker,
};

use crate::{Query, Result, Store};

/// A record that can be listed by the fields of the REST API.
pub trait Resource: Sized + Send + sealed::Table + 'static {}

pub(crate) mod sealed {
    /// Where a resource is stored.
    pub trait Table {}
}

macro_rules! resources {
    ($($name:ident),+) => {$(
        impl Resource for $name {}
        impl sealed::Table for $name {}
    )+};
}
resources!(
    Build,
    BuildRequest,
    Builder,
    Buildset,
    Change,
    ChangeSource,
    Log,
    Master,
    Scheduler,
    SourceStamp,
    Step,
    Worker
);

impl Store {
    /// The records that a query asks for.
    ///
    /// # Errors
    /// When a field is unknown, a value does not fit its field, or the database fails.
    pub async fn list<R: Resource>(&self, query: &Query) -> Result<Vec<R>> {
        todo!("{query:?}")
    }

    /// How many records the filters of a query let through; order and page are ignored.
    ///
    /// # Errors
    /// When a field is unknown, a value does not fit its field, or the database fails.
    pub async fn count<R: Resource>(&self, query: &Query) -> Result<i64> {
        todo!("{query:?}")
    }

    /// The record with this id.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when there is none; otherwise when the database fails.
    pub async fn get<R: Resource>(&self, id: impl Into<i64>) -> Result<R> {
        let id = id.into();
        todo!("{id}")
    }

    /// The record with this id, when there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find<R: Resource>(&self, id: impl Into<i64>) -> Result<Option<R>> {
        let id = id.into();
        todo!("{id}")
    }
}
