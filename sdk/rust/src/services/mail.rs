//! Mail through the server that the master's configuration names.

#[cfg(target_family = "wasm")]
use super::Services;
use super::ServicesRef;
use crate::Error;

/// A file that comes with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its type, such as `text/plain; charset=utf-8`.
    pub content_type: String,
    /// Its content.
    pub data: Vec<u8>,
}

/// A message, as [`Mail`] puts it together. At most 100 recipients and 4 MiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailMessage {
    /// Who it is from; `None`: as the master is configured.
    pub sender: Option<String>,
    /// Who gets it: `name@example.org` or `Name <name@example.org>`.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets a copy that the others don't see.
    pub bcc: Vec<String>,
    /// Who gets an answer; `None`: the sender.
    pub reply_to: Option<String>,
    /// One line.
    pub subject: String,
    /// The text. One of `text` and `html` at least.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// Other headers, such as `List-Id`.
    pub headers: Vec<(String, String)>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// A mail that is being put together; [`send`](Self::send) sends it.
///
/// ```
/// # use toolpost_sdk::mock::MockHost;
/// # let host = MockHost::new();
/// # let ctx = host.context();
/// ctx.mail("Deployed").to("ops@example.org").text("Version 1.2 is live.").send("deploy-1.2")?;
/// assert_eq!(host.mails()[0].subject, "Deployed");
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
#[must_use = "a mail goes nowhere until it is sent"]
pub struct Mail {
    services: ServicesRef,
    message: MailMessage,
}

impl Mail {
    pub(crate) fn new(services: ServicesRef, subject: String) -> Self {
        let message = MailMessage {
            subject,
            ..MailMessage::default()
        };
        Self { services, message }
    }

    /// Adds one who gets it: `name@example.org` or `Name <name@example.org>`.
    pub fn to(mut self, address: impl Into<String>) -> Self {
        self.message.to.push(address.into());
        self
    }

    /// Adds one who gets a copy.
    pub fn cc(mut self, address: impl Into<String>) -> Self {
        self.message.cc.push(address.into());
        self
    }

    /// Adds one who gets a copy that the others don't see.
    pub fn bcc(mut self, address: impl Into<String>) -> Self {
        self.message.bcc.push(address.into());
        self
    }

    /// Says who it is from, if not from whom the master is configured to send.
    pub fn sender(mut self, address: impl Into<String>) -> Self {
        self.message.sender = Some(address.into());
        self
    }

    /// Says who gets an answer, if not the sender.
    pub fn reply_to(mut self, address: impl Into<String>) -> Self {
        self.message.reply_to = Some(address.into());
        self
    }

    /// Sets the text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.message.text = Some(text.into());
        self
    }

    /// Sets the HTML that shows the same as the text.
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.message.html = Some(html.into());
        self
    }

    /// Adds another header, such as `List-Id`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.message.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a file.
    pub fn attach(
        mut self,
        name: impl Into<String>,
        content_type: impl Into<String>,
        data: impl Into<Vec<u8>>,
    ) -> Self {
        self.message.attachments.push(Attachment {
            name: name.into(),
            content_type: content_type.into(),
            data: data.into(),
        });
        self
    }

    /// Hands it to the server. `key` becomes part of its Message-ID, so that repeats can be told: the key of a
    /// [`Delivery`](crate::Delivery), for instance.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when the server cannot be reached or says so, [`Error::Permanent`] when it refuses
    /// the message, [`Error::Config`] without a server or grant, or when an address is none.
    pub fn send(self, key: &str) -> Result<(), Error> {
        self.services.send_mail(&self.message, key)
    }
}
