//! What steps and reporters import alike.

use super::bindings::imports::toolpost::plugin as wit;
use super::convert::error;
use super::{WasmHost, http};
use crate::services::Services;
use crate::{Attachment, Error, HttpError, HttpRequest, HttpResponse, Level, MailMessage};
use serde_json::Value;

impl Services for WasmHost {
    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => wit::log::Level::Debug,
            Level::Info => wit::log::Level::Info,
            Level::Warn => wit::log::Level::Warn,
            Level::Error => wit::log::Level::Error,
        };
        wit::log::write(level, message);
    }

    fn placeholder(&self, secret: &str) -> Result<String, Error> {
        wit::secrets::placeholder(secret).map_err(error)
    }

    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
        wit::secrets::hmac_sha256(secret, data).map_err(error)
    }

    fn stored(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        wit::key_value::get(key).map_err(error)
    }

    fn store(&self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        wit::key_value::set(key, value).map_err(error)
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<bool, Error> {
        wit::key_value::compare_and_set(key, expected, value).map_err(error)
    }

    fn stored_keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        wit::key_value::keys(prefix).map_err(error)
    }

    fn render(&self, template: &str, values: &Value) -> Result<String, Error> {
        wit::templates::render(template, &values.to_string()).map_err(error)
    }

    fn send_mail(&self, message: &MailMessage, key: &str) -> Result<(), Error> {
        let attachment = |attachment: &Attachment| wit::mail::Attachment {
            name: attachment.name.clone(),
            content_type: attachment.content_type.clone(),
            data: attachment.data.clone(),
        };
        let message = wit::mail::Message {
            sender: message.sender.clone(),
            to: message.to.clone(),
            cc: message.cc.clone(),
            bcc: message.bcc.clone(),
            reply_to: message.reply_to.clone(),
            subject: message.subject.clone(),
            text: message.text.clone(),
            html: message.html.clone(),
            headers: message.headers.clone(),
            attachments: message.attachments.iter().map(attachment).collect(),
        };
        wit::mail::send(&message, key).map_err(error)
    }

    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        http::send(request)
    }
}
