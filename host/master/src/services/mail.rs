//! Mail: from what a plugin wrote to what a server takes.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use sha2::{Digest as _, Sha256};
use toolpost_config::config::{MailConfig, MailTls};
use toolpost_sandbox::host::{HostError, Message};
use toolpost_sandbox::{Wanted, read_authorities};

use super::{Capabilities, config};
use crate::secrets::Filling;

/// Text and attachments of one message, as the contract says.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Headers that a plugin may add.
const HEADERS_MAX: usize = 50;
/// For one answer of the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// For all of it.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);
/// The server does not take the user name or the password.
const AUTHENTICATION_REFUSED: [u16; 3] = [530, 534, 535];
/// Headers that follow from the message, or say how it is written.
const OWN_HEADERS: [&str; 12] = [
    "from",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "sender",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// Hands a message to the server.
pub(super) async fn send(
    shared: &Capabilities,
    wanted: &Wanted,
    server: &MailConfig,
    message: Message,
    key: &str,
) -> Result<(), HostError> {
    let size = size(&message);
    if size > MESSAGE_BYTES_MAX {
        return Err(HostError::Permanent(format!(
            "the message has {size} bytes, at most {MESSAGE_BYTES_MAX} are sent"
        )));
    }
    let message = filled(shared, wanted, message).await?;
    let mail = mail(server, wanted.plugin(), message, key)?;
    let transport = transport(shared, server).await?;
    let sent = tokio::time::timeout(SEND_TIMEOUT, transport.send(mail));
    match sent.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refusal(server, &error)),
        Err(_) => Err(HostError::Retryable(format!(
            "the mail server {} did not take the message within {} s",
            server.host,
            SEND_TIMEOUT.as_secs()
        ))),
    }
}

fn size(message: &Message) -> usize {
    let texts = message.text.iter().chain(&message.html).map(String::len);
    let files = message.attachments.iter().map(|file| file.data.len());
    let headers = message
        .headers
        .iter()
        .map(|(name, text)| name.len() + text.len());
    texts.chain(files).chain(headers).sum()
}

/// The message with the secrets in it that the plugin may use.
async fn filled(
    shared: &Capabilities,
    wanted: &Wanted,
    mut message: Message,
) -> Result<Message, HostError> {
    let filling = {
        let texts = message.text.iter().chain(&message.html);
        let texts = texts
            .chain([&message.subject])
            .chain(message.headers.iter().map(|(_, text)| text));
        let files = message.attachments.iter().map(|file| &*file.data);
        let all: Vec<&[u8]> = texts.map(String::as_bytes).chain(files).collect();
        shared.filling(wanted, all).await?
    };
    if !filling.is_empty() {
        fill(&mut message, &filling);
    }
    Ok(message)
}

fn fill(message: &mut Message, filling: &Filling) {
    let texts = message.text.iter_mut().chain(&mut message.html);
    let headers = message.headers.iter_mut().map(|(_, text)| text);
    for text in texts.chain([&mut message.subject]).chain(headers) {
        *text = filling.text(text);
    }
    for file in &mut message.attachments {
        file.data = filling.bytes(&file.data);
    }
}

/// The message as it goes over the wire.
fn mail(server: &MailConfig, plugin: &str, message: Message, key: &str) -> Result<Mail, HostError> {
    let sender = mailbox(message.sender.as_deref().unwrap_or(&server.from))?;
    let id = message_id(plugin, key, sender.email.domain());
    let mut builder = Mail::builder()
        .from(sender)
        .message_id(Some(id))
        .date_now()
        .subject(one_line("subject", &message.subject)?);
    for address in &message.to {
        builder = builder.to(mailbox(address)?);
    }
    for address in &message.cc {
        builder = builder.cc(mailbox(address)?);
    }
    for address in &message.bcc {
        builder = builder.bcc(mailbox(address)?);
    }
    if let Some(address) = &message.reply_to {
        builder = builder.reply_to(mailbox(address)?);
    }
    let builder = with_headers(builder, &message.headers)?;
    let Message {
        text,
        html,
        attachments,
        ..
    } = message;
    let files: Vec<SinglePart> = attachments
        .into_iter()
        .map(|file| {
            let content_type = ContentType::parse(&file.content_type).map_err(|_| {
                HostError::Config(format!("`{}` is not a content type", file.content_type))
            })?;
            Ok(Attachment::new(file.name).body(Body::new(file.data), content_type))
        })
        .collect::<Result<_, HostError>>()?;
    written(builder, text, html, files).map_err(|error| HostError::Config(error.to_string()))
}

/// Puts the parts of a message together.
fn written(
    builder: MessageBuilder,
    text: Option<String>,
    html: Option<String>,
    files: Vec<SinglePart>,
) -> Result<Mail, lettre::error::Error> {
    let both = match (text, html) {
        (Some(text), Some(html)) => Ok(MultiPart::alternative_plain_html(text, html)),
        (Some(text), None) => Err(SinglePart::plain(text)),
        (None, html) => Err(SinglePart::html(html.unwrap_or_default())),
    };
    if files.is_empty() {
        return match both {
            Ok(parts) => builder.multipart(parts),
            Err(part) => builder.singlepart(part),
        };
    }
    let all = match both {
        Ok(parts) => MultiPart::mixed().multipart(parts),
        Err(part) => MultiPart::mixed().singlepart(part),
    };
    builder.multipart(files.into_iter().fold(all, MultiPart::singlepart))
}

fn with_headers(
    mut builder: MessageBuilder,
    headers: &[(String, String)],
) -> Result<MessageBuilder, HostError> {
    if headers.len() > HEADERS_MAX {
        return Err(HostError::Config(format!(
            "a message has at most {HEADERS_MAX} headers of its own"
        )));
    }
    for (name, text) in headers {
        if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            let text = format!("the header `{name}` follows from the message");
            return Err(HostError::Config(text));
        }
        let header = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| HostError::Config(format!("`{name}` is not the name of a header")))?;
        let text = one_line(name, text)?;
        builder = builder.raw_header(HeaderValue::new(header, text));
    }
    Ok(builder)
}

fn one_line(what: &str, text: &str) -> Result<String, HostError> {
    match text.contains(['\r', '\n']) {
        false => Ok(text.to_owned()),
        true => Err(HostError::Config(format!(
            "`{what}` has more than one line"
        ))),
    }
}

fn mailbox(text: &str) -> Result<Mailbox, HostError> {
    text.parse()
        .map_err(|_| HostError::Config(format!("`{text}` is not a mail address")))
}

/// The same for each repeat of a delivery, and for nothing else.
fn message_id(plugin: &str, key: &str, domain: &str) -> String {
    let digest = Sha256::new()
        .chain_update(plugin)
        .chain_update([0])
        .chain_update(key)
        .finalize();
    let short: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("<{short}@{domain}>")
}

async fn transport(
    shared: &Capabilities,
    server: &MailConfig,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, HostError> {
    let ca_file = shared.ca_file();
    let tls = match server.tls {
        MailTls::StartTls => Tls::Required(tls_parameters(server, ca_file).await?),
        MailTls::Tls => Tls::Wrapper(tls_parameters(server, ca_file).await?),
        MailTls::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(ANSWER_TIMEOUT));
    if let Some(login) = &server.login {
        let password = shared.secrets.value(&login.password_secret).await;
        let password = password
            .map_err(|error| config(&error))?
            .expose()
            .to_owned();
        builder = builder.credentials(Credentials::new(login.user.clone(), password));
    }
    Ok(builder.build())
}

/// How an encrypted connection is made: who vouches for the server, beside the system's authorities.
async fn tls_parameters(
    server: &MailConfig,
    ca_file: Option<PathBuf>,
) -> Result<TlsParameters, HostError> {
    let host = server.host.clone();
    let made = tokio::task::spawn_blocking(move || {
        let mut builder = TlsParameters::builder(host);
        if let Some(path) = &ca_file {
            for authority in read_authorities(path).map_err(|error| error.to_string())? {
                let authority = Certificate::from_der(authority.to_vec());
                let authority = authority.map_err(|error| error.to_string())?;
                builder = builder.add_root_certificate(authority);
            }
        }
        builder.build().map_err(|error| error.to_string())
    });
    let made = made
        .await
        .map_err(|error| HostError::Internal(error.to_string()))?;
    made.map_err(|error| HostError::Config(format!("TLS cannot be set up: {error}")))
}

fn refusal(server: &MailConfig, error: &SmtpError) -> HostError {
    let MailConfig { host, port, .. } = server;
    let mut text = format!("the mail server {host}:{port}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    let code = error.status().map(u16::from);
    match code {
        Some(code) if AUTHENTICATION_REFUSED.contains(&code) => HostError::Config(text),
        _ if error.is_permanent() => HostError::Permanent(text),
        _ => HostError::Retryable(text),
    }
}
