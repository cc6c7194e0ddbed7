//! HTTP as a plugin's call does it, without a plugin, against a real receiver.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use toolpost_core::secret::{fill_text, placeholder};
use wasmtime_wasi_http::Error;

use super::*;
use crate::call::{Computing, Meter};
use crate::fair::Party;
use crate::host::{HostError, HttpGrants, Message, NoServices, PluginServices};
use crate::{Want, Wanted};

const SECRET: &str = "s3cret/value&more";

/// Grants, and one secret.
#[derive(Default)]
pub(crate) struct Granted {
    pub(crate) public: Vec<String>,
    pub(crate) private: Vec<String>,
}

fn paying() -> Paying {
    Paying {
        party: Party::new("greet", "unit"),
        meter: Meter::new("greet".into(), Computing::default()),
        threads: tokio::runtime::Handle::current(),
    }
}

fn stand_in() -> String {
    placeholder([1; 16])
}

#[async_trait]
impl PluginServices for Granted {
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError> {
        NoServices.secret_placeholder(name).await
    }
    async fn hmac_sha256(&self, secret: &str, data: Bytes) -> Result<Vec<u8>, HostError> {
        NoServices.hmac_sha256(secret, data).await
    }
    async fn stored(&self, key: &str) -> Result<Option<Bytes>, HostError> {
        NoServices.stored(key).await
    }
    async fn store(&self, key: &str, value: Option<Bytes>) -> Result<(), HostError> {
        NoServices.store(key, value).await
    }
    async fn compare_and_store(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<bool, HostError> {
        NoServices.compare_and_store(key, expected, value).await
    }
    async fn keys(&self, prefix: &str) -> Result<Vec<String>, HostError> {
        NoServices.keys(prefix).await
    }
    async fn render(&self, template: String, values: Value) -> Result<String, HostError> {
        NoServices.render(template, values).await
    }
    async fn send_mail(&self, message: Message, key: &str) -> Result<(), HostError> {
        NoServices.send_mail(message, key).await
    }
    fn http_grants(&self) -> HttpGrants {
        let parse = |hosts: &[String]| hosts.iter().map(|host| host.parse().unwrap()).collect();
        HttpGrants {
            public: parse(&self.public),
            private: parse(&self.private),
            ca_file: None,
        }
    }
    async fn fill_in(&self, bytes: Bytes) -> Result<Bytes, HostError> {
        let stand_in = stand_in();
        let text = String::from_utf8_lossy(&bytes);
        Ok(fill_text(&text, |found| (found == stand_in).then_some(SECRET)).into())
    }
    fn mask(&self, bytes: Bytes) -> Bytes {
        String::from_utf8_lossy(&bytes)
            .replace(SECRET, "<s>")
            .into()
    }
}

/// Answers with one address after the other, as an attacker's name server does.
#[derive(Debug)]
struct Script(Mutex<VecDeque<Vec<SocketAddr>>>);

#[async_trait]
impl Resolve for Script {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        let next = self.0.lock().unwrap().pop_front();
        next.ok_or_else(|| std::io::Error::other("asked once more"))
    }
}

fn limits() -> HttpLimits {
    HttpLimits {
        response_bytes_max: 100 << 10,
        request_bytes_max: 100 << 10,
        first_byte: Duration::from_millis(400),
        between_bytes: Duration::from_millis(400),
        total: Duration::from_secs(2),
        ..HttpLimits::default()
    }
}

struct Caller {
    granted: Granted,
    wants: Vec<Want>,
    addresses: Vec<Vec<SocketAddr>>,
}

impl Caller {
    fn granted(hosts: &[String]) -> Self {
        Self {
            granted: Granted {
                public: hosts.to_vec(),
                private: Vec::new(),
            },
            wants: vec![Want::Http("*".into())],
            addresses: Vec::new(),
        }
    }

    async fn send(self, request: http::Request<String>) -> Result<http::Response<Bytes>, String> {
        let options = HttpOptions {
            limits: limits(),
            resolver: Arc::new(Script(Mutex::new(self.addresses.into()))),
        };
        let exchange = Exchange {
            client: Arc::new(Client::new(options)),
            services: Arc::new(self.granted),
            wanted: Wanted::new("greet", &self.wants),
            paying: paying(),
            places: Arc::new(Semaphore::new(1)),
            options: RequestOptions::default(),
        };
        let request = request.map(|body| {
            let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
            body.boxed_unsync()
        });
        let response = exchange.run(request).await.map_err(|error| match error {
            Error::InternalError(Some(text)) => text,
            error => error.to_string(),
        })?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    }

    async fn get(self, url: &str) -> Result<http::Response<Bytes>, String> {
        self.send(http::Request::get(url).body(String::new()).unwrap())
            .await
    }
}

/// A server that gives this answer to each request; what it heard is in the answer for `{echo}`.
async fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = vec![0; 32 << 10];
            let count = stream.read(&mut heard).await.unwrap_or(0);
            let heard = String::from_utf8_lossy(&heard[..count]).into_owned();
            let body = answer.replace("{echo}", &heard);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-echo: {SECRET}\r\n\r\n",
                body.len()
            );
            // The client may have gone before.
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    address
}

/// A server that sends bytes as it likes.
async fn raw_server(head: &'static str, piece: Vec<u8>, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                tokio::time::sleep(pause).await;
                sent = stream.write_all(&piece).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn only_hosts_that_are_wanted_and_granted_are_reached() {
    let address = server("hello").await;
    let url = format!("http://{address}/");
    let answer = Caller::granted(&[address.to_string()]).get(&url).await;
    assert_eq!(&answer.unwrap().body()[..], b"hello");
    let refused = Caller::granted(&["chat.example.org".into()])
        .get(&url)
        .await;
    assert_eq!(
        refused.unwrap_err(),
        format!(
            "config: requests to `{address}` are not granted: add it to `grant.http` of the plugin"
        )
    );
    let unwanted = Caller {
        wants: vec![Want::Http("chat.example.org".into())],
        ..Caller::granted(&[address.to_string()])
    };
    assert_eq!(
        unwanted.get(&url).await.unwrap_err(),
        format!(
            "config: the plugin does not say that it asks for HTTP requests to `{address}`: add `http-host(\"{address}\")` to the `wants` of its `describe`, and `grant.http = [\"{address}\"]` to [plugin.greet] of the configuration"
        )
    );
    let user = format!("http://chat.example.org@{address}/");
    assert!(
        Caller::granted(&[address.to_string()])
            .get(&user)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_unless_that_is_granted() {
    let address = server("inside").await;
    let host = format!("chat.example.org:{}", address.port());
    let url = format!("http://{host}/");
    let caller = |addresses: &[SocketAddr]| Caller {
        addresses: vec![addresses.to_vec()],
        ..Caller::granted(std::slice::from_ref(&host))
    };
    let public = SocketAddr::from(([93, 184, 216, 34], address.port()));
    let metadata = SocketAddr::from(([169, 254, 169, 254], 80));
    for addresses in [vec![address], vec![public, address]] {
        assert_eq!(
            caller(&addresses).get(&url).await.unwrap_err(),
            "config: `chat.example.org` has the private address 127.0.0.1: add it to `grant.http_private` if that is meant"
        );
    }
    let mut meant = caller(&[address]);
    meant.granted.private = vec![host.clone()];
    assert_eq!(&meant.get(&url).await.unwrap().body()[..], b"inside");
    let mut never = caller(&[metadata]);
    never.granted.private = vec![host.clone()];
    assert_eq!(
        never.get(&url).await.unwrap_err(),
        "config: `chat.example.org` has the address 169.254.169.254, which no plugin may speak to"
    );
}

#[tokio::test]
async fn a_name_is_resolved_once_so_that_it_cannot_change_its_meaning() {
    let address = server("inside").await;
    let host = format!("chat.example.org:{}", address.port());
    let mut caller = Caller::granted(&[]);
    caller.granted.private = vec![host.clone()];
    // A second question would get another answer, and a connection by name would ask it.
    caller.addresses = vec![vec![address]];
    assert_eq!(
        &caller.get(&format!("http://{host}/")).await.unwrap().body()[..],
        b"inside"
    );
}

#[tokio::test]
async fn redirects_are_the_plugins_matter() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let answer = Caller::granted(&[address.to_string()])
        .get(&format!("http://{address}/"))
        .await
        .unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "http://127.0.0.1:1/");
    let next = Caller::granted(&[address.to_string()])
        .get("http://127.0.0.1:1/")
        .await;
    assert!(next.unwrap_err().contains("not granted"));
}

#[tokio::test]
async fn secrets_are_filled_in_on_the_way_out_and_hidden_on_the_way_back() {
    let address = server("{echo}").await;
    let stand_in = stand_in();
    let login = STANDARD.encode(format!("me:{stand_in}"));
    let request = http::Request::post(format!("http://{address}/hook?token={stand_in}"))
        .header("x-token", &stand_in)
        .header("authorization", format!("Basic {login}"))
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip")
        .header("range", "bytes=0-3")
        .body(format!("{{\"token\":\"{stand_in}\"}}"))
        .unwrap();
    let answer = Caller::granted(&[address.to_string()])
        .send(request)
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-echo"], "<s>");
    let length = answer.headers()["content-length"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(length, answer.body().len().to_string());
    let heard = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(!heard.contains(&stand_in), "{heard}");
    assert!(!heard.contains(SECRET), "{heard}");
    for part in [
        "POST /hook?token=s3cret%2Fvalue%26more HTTP/1.1",
        "x-token: <s>",
        "accept-encoding: identity",
        "{\"token\":\"<s>\"}",
        &format!(
            "authorization: Basic {}",
            STANDARD.encode(format!("me:{SECRET}"))
        ),
    ] {
        assert!(heard.contains(part), "{part} is not in {heard}");
    }
}

#[tokio::test]
async fn giants_and_drips_are_cut_off() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n";
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    let get = async |head, piece, pause| {
        let address = raw_server(head, piece, pause).await;
        let caller = Caller::granted(&[address.to_string()]);
        caller.get(&format!("http://{address}/")).await.unwrap_err()
    };
    let quick = Duration::from_millis(1);
    let too_large = "HTTP response body size exceeds limit: 102400 bytes";
    assert_eq!(get(length, vec![b'x'; 100], quick).await, too_large);
    assert_eq!(get(endless, vec![b'x'; 64 << 10], quick).await, too_large);
    let slow = Duration::from_millis(100);
    assert_eq!(
        get(endless, b"x".to_vec(), slow).await,
        "the exchange was not over after 2 s"
    );
    let hours = Duration::from_secs(3600);
    assert_eq!(
        get(endless, Vec::new(), hours).await,
        Error::ConnectionReadTimeout.to_string()
    );
    assert_eq!(
        get("", Vec::new(), hours).await,
        Error::HttpResponseTimeout.to_string()
    );
    let headers = get("HTTP/1.1 200 OK\r\nx: ", vec![b'x'; 16 << 10], quick).await;
    assert!(
        headers.contains("too large") || headers.contains("hyper"),
        "{headers}"
    );
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let address = server("hello").await;
    let request = http::Request::post(format!("http://{address}/"))
        .body("x".repeat(200 << 10))
        .unwrap();
    let refused = Caller::granted(&[address.to_string()]).send(request).await;
    assert_eq!(
        refused.unwrap_err(),
        "HTTP request body size exceeds limit: 102400 bytes"
    );
}

#[tokio::test]
async fn a_call_without_a_host_sends_nothing() {
    let client = Arc::new(Client::new(HttpOptions::default()));
    let mut http = CallHttp::new(client, None, paying(), HostCalls::default());
    let body = Full::new(Bytes::new())
        .map_err(|never| match never {})
        .boxed_unsync();
    let request = http::Request::get("http://127.0.0.1:9/")
        .body(body)
        .unwrap();
    let sending = http
        .hooks
        .send_request(request, None, Box::new(std::future::ready(Ok(()))));
    let Err(error) = std::pin::Pin::from(sending).await else {
        panic!("it was sent");
    };
    assert!(
        error.to_string().contains("only steps and reporters"),
        "{error}"
    );
}
