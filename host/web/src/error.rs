//! What can go wrong for whoever asks over HTTP. One type, one [`ApiError::status`]; the API answers it in Buildbot's
//! envelopes, the pages as a page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::StatusCode;
use toolpost_store::StoreError;

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No such path is served.
    #[error("invalid path: {0}")]
    UnknownPath(String),
    /// The path is right, the thing is not there.
    #[error("there is no {0}")]
    NotFound(Cow<'static, str>),
    /// The query string is wrong.
    #[error("{0}")]
    Query(String),
    /// The body is longer than is taken.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body is not a JSON-RPC 2.0 call; the number is the code of that specification.
    #[error("{message}")]
    Rpc {
        /// JSON-RPC error code.
        code: i32,
        /// What is wrong.
        message: String,
    },
    /// Fields of a form do not fit: messages by the name of the field.
    #[error("{}", .0.iter().map(|(name, message)| format!("{name}: {message}")).collect::<Vec<_>>().join("; "))]
    Fields(BTreeMap<String, String>),
    /// The resource has no such action.
    #[error("action: {0} is not supported")]
    UnknownAction(String),
    /// The method is wrong for the path.
    #[error("method {0} is not supported here")]
    Method(axum::http::Method),
    /// Sent from another site's page.
    #[error(
        "the request comes from another site ({origin}); open this page under its own address and try again"
    )]
    CrossSite {
        /// The `Origin` header.
        origin: String,
    },
    /// Sent to a name that is none of this server's.
    #[error(
        "this server is not known as `{host}`: open it under its own address, or add that name to `hosts` in [master]"
    )]
    UnknownHost {
        /// The `Host` header, as it may be shown.
        host: String,
    },
    /// What was shown to say who it is, is not good.
    #[error("{0}")]
    Unauthenticated(String),
    /// Nobody is logged in, and only somebody who is could be allowed that.
    #[error("log in to {0}")]
    LogIn(String),
    /// Whoever is logged in may not do that.
    #[error("{who} may not {what}")]
    Forbidden {
        /// Their name.
        who: String,
        /// What they wanted.
        what: String,
    },
    /// Too much was asked for.
    #[error("{0}")]
    TooMany(String),
    /// As many do that already as may at one time.
    #[error("{0}")]
    Full(&'static str),
    /// It was possible, but is no longer.
    #[error("{0}")]
    Conflict(String),
    /// The database would have to look at more rows than a request is worth.
    #[error(
        "that would take too long: so many rows would have to be looked at; narrow it by builder, worker or time, and order it by \
         an id or a time"
    )]
    TooMuchWork,
    /// The store failed. The details go to the log, not to whoever asked.
    #[error("the database could not be read; the log of the master says why")]
    Store(#[source] StoreError),
    /// The master failed. The details go to the log.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// A wrong query string.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::Query(message.into())
    }

    /// Somebody who may not do something.
    pub(crate) fn forbidden(caller: &crate::auth::Caller, what: &str) -> Self {
        match caller.identity {
            None => Self::LogIn(what.to_owned()),
            Some(_) => Self::Forbidden {
                who: caller.name().to_owned(),
                what: what.to_owned(),
            },
        }
    }

    /// A thing that is not there.
    pub(crate) fn not_found(what: impl Into<Cow<'static, str>>) -> Self {
        Self::NotFound(what.into())
    }

    /// The HTTP status; Buildbot's where it has the case.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Query(_) | Self::Rpc { .. } | Self::Fields(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownAction(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::CrossSite { .. } | Self::LogIn(_) | Self::Forbidden { .. } => {
                StatusCode::FORBIDDEN
            }
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UnknownHost { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMuchWork => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code of the JSON-RPC 2.0 specification, section 5.1, that Buildbot sends for it.
    pub(crate) fn rpc_code(&self) -> i32 {
        match self {
            Self::Rpc { code, .. } => *code,
            Self::UnknownPath(_)
            | Self::NotFound(_)
            | Self::CrossSite { .. }
            | Self::UnknownHost { .. }
            | Self::TooLarge { .. }
            | Self::Unauthenticated(_)
            | Self::LogIn(_)
            | Self::Forbidden { .. }
            | Self::TooMany(_)
            | Self::Conflict(_) => rpc_code::INVALID_REQUEST,
            Self::Query(_) | Self::UnknownAction(_) | Self::Method(_) => rpc_code::METHOD_NOT_FOUND,
            Self::Fields(_) => rpc_code::INVALID_PARAMS,
            Self::Full(_) | Self::TooMuchWork | Self::Store(_) | Self::Internal(_) => {
                rpc_code::INTERNAL_ERROR
            }
        }
    }

    /// Writes failures of this program (not of whoever asked) to the log; called once, where the answer is made.
    pub(crate) fn log(&self, path: &str) {
        match self {
            Self::Store(error) => tracing::error!(%path, "answering {path} failed: {error}"),
            Self::Internal(error) => tracing::error!(%path, "answering {path} failed: {error}"),
            Self::TooMuchWork => tracing::warn!(%path, "interrupted {path}: {self}"),
            _ => tracing::debug!(%path, "refused {path}: {self}"),
        }
    }
}

/// Codes of the JSON-RPC 2.0 specification.
pub(crate) mod rpc_code {
    pub(crate) const PARSE_ERROR: i32 = -32700;
    pub(crate) const INVALID_REQUEST: i32 = -32600;
    pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
    pub(crate) const INVALID_PARAMS: i32 = -32602;
    pub(crate) const INTERNAL_ERROR: i32 = -32603;
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, id } => Self::not_found(format!("{what} {id}")),
            StoreError::UnknownField { .. } | StoreError::Filter { .. } => {
                Self::Query(error.to_string())
            }
            StoreError::Conflict { .. } => Self::Conflict(error.to_string()),
            StoreError::TooMuchWork { .. } => Self::TooMuchWork,
            error => Self::Store(error),
        }
    }
}
