//! Requests as programs and browsers send them, and their answers.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Reads an answer to its end.
    pub async fn read(response: axum::http::Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body
            .collect()
            .await
            .expect("the body can be read")
            .to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Status and body, for a snapshot.
    pub fn shown(&self) -> String {
        format!("{}\n{}", self.status.as_u16(), self.body.trim_end())
    }

    /// Status and the body as compact JSON that is laid out in lines.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Something that has a router to ask.
#[allow(async_fn_in_trait, reason = "tests ask for nothing of the futures")]
pub trait Asker {
    fn router(&self) -> &Router;

    /// A request as a program sends it: JSON please.
    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "application/json")]).await
    }

    /// A request as a browser sends it.
    async fn page(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "text/html")]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, "").await
    }

    /// A call of an action.
    async fn call(&self, path: &str, method: &str, params: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, &body.to_string())
            .await
    }

    /// A form as a browser posts it.
    async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "ci.example"),
            ("origin", "http://ci.example"),
        ];
        self.send(Method::POST, path, &headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        Answer::read(self.open(method, path, headers, body).await).await
    }

    /// The answer before its body is read.
    async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> axum::http::Response<Body> {
        let local = SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.open_from(local, method, path, headers, body).await
    }

    /// The same for a client at another address.
    async fn open_from(
        &self,
        from: SocketAddr,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> axum::http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.extension(ConnectInfo(from));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.router()
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {})
    }
}
