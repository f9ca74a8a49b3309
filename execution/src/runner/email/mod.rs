//! The runner `email`: one message for a server of mail.
//!
//! `server` (to whom it is given), `address` (whom it is from and for).

mod address;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;

use petrel_cel::{Scope, Template};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake};
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};
use crate::limits::{EMAIL_BODY_BYTES_MAX, EMAIL_RECIPIENTS_MAX, EMAIL_SUBJECT_BYTES_MAX};

pub use address::Mailbox;
use server::ServerSpec;
pub use server::{MailServer, Security};

const AT: &str = "/message";
const KNOWN: &[&str] = &["from", "to", "cc", "bcc", "reply_to", "subject", "text", "html"];

/// A message and its server, as templates.
#[derive(Debug)]
pub struct EmailSpec {
    server: ServerSpec,
    message: Box<Parts>,
    secrets: Vec<(String, SecretRef)>,
}

#[derive(Debug)]
struct Parts {
    from: Template,
    to: Option<Template>,
    cc: Option<Template>,
    bcc: Option<Template>,
    reply_to: Option<Template>,
    subject: Template,
    text: Option<Template>,
    html: Option<Template>,
}

/// A message to send.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailCall {
    /// To whom it is given.
    pub server: MailServer,
    /// Who sends it.
    pub from: Mailbox,
    /// Whom it is for.
    pub to: Vec<Mailbox>,
    /// Who gets it, too.
    pub cc: Vec<Mailbox>,
    /// Who gets it without being told of to the others.
    pub bcc: Vec<Mailbox>,
    /// Who gets answers.
    pub reply_to: Vec<Mailbox>,
    /// One line.
    pub subject: String,
    /// As text; there is this one, or the next, or both.
    pub text: Option<String>,
    /// As HTML.
    pub html: Option<String>,
}

/// Without what it says: it may hold a secret.
impl fmt::Debug for EmailCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailCall").field("server", &self.server).finish_non_exhaustive()
    }
}

impl EmailCall {
    /// Everybody who gets it, each once, in the order in which they stand.
    pub fn recipients(&self) -> Vec<&Mailbox> {
        let mut recipients: Vec<&Mailbox> = Vec::new();
        for mailbox in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !recipients.iter().any(|known| known.address == mailbox.address) {
                recipients.push(mailbox);
            }
        }
        recipients
    }
}

impl Spec for EmailSpec {
    const NAME: &'static str = "email";
    const KEYS: &'static [&'static str] = &["server", "message"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let server = keys.need("server").and_then(|server| ServerSpec::read(server, &mut keys, files));
        let message = keys.need("message").and_then(|message| Parts::read(message, &mut keys));
        let Keys { errors, secrets, .. } = keys;
        match (server, message) {
            (Some(server), Some(message)) if errors.is_empty() => {
                Ok(Self { server, message: Box::new(message), secrets })
            }
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }
}

impl Parts {
    fn read<'k>(message: &'k Value, keys: &mut Keys<'k>) -> Option<Self> {
        let entries = keys.mapping(message, AT, "message", KNOWN)?;
        for needed in ["from", "subject"].into_iter().filter(|needed| !entries.contains_key(*needed)) {
            keys.error(AT, Mistake::Missing, format!("a message needs {needed:?}"));
        }
        if !["to", "cc", "bcc"].iter().any(|list| entries.contains_key(*list)) {
            keys.error(AT, Mistake::Missing, "a message needs \"to\", \"cc\" or \"bcc\"");
        }
        if !["text", "html"].iter().any(|part| entries.contains_key(*part)) {
            keys.error(AT, Mistake::Missing, "a message needs \"text\" or \"html\", or both");
        }
        for list in ["from", "to", "cc", "bcc", "reply_to"] {
            check_constants(entries, list, keys);
        }
        let mut any = |name: &str| entries.get(name).and_then(|value| keys.template_of(value, &format!("{AT}/{name}")));
        let [to, cc, bcc, reply_to] = ["to", "cc", "bcc", "reply_to"].map(&mut any);
        let mut text =
            |name: &str| entries.get(name).and_then(|value| keys.text_template(value, &format!("{AT}/{name}"), name));
        let (from, subject) = (text("from"), text("subject"));
        let (plain, html) = (text("text"), text("html"));
        Some(Self { from: from?, to, cc, bcc, reply_to, subject: subject?, text: plain, html })
    }

    fn render(&self, server: MailServer, scope: &Scope<'_>) -> Result<EmailCall, RenderError> {
        let addresses = |template: &Option<Template>, what: &str| {
            let Some(template) = template else { return Ok(Vec::new()) };
            let value = template.render(scope).map_err(|e| RenderError(format!("\"{what}\": {e}")))?;
            address::all(&value, &format!("\"{what}\""))
        };
        let body = |template: &Option<Template>, what: &str| {
            template.as_ref().map(|template| limited(template, scope, what, EMAIL_BODY_BYTES_MAX)).transpose()
        };
        let from = text(&self.from, scope, "\"from\"")?;
        let subject = limited(&self.subject, scope, "subject", EMAIL_SUBJECT_BYTES_MAX)?;
        if subject.chars().any(|c| c.is_control() && c != '\t') {
            return Err(RenderError("\"subject\" holds a line break or another control character".to_owned()));
        }
        // An expression chooses between the two by leaving one empty.
        let (plain, html) = (body(&self.text, "text")?, body(&self.html, "html")?);
        let is_said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let (plain, html) = match (is_said(&plain), is_said(&html)) {
            (true, false) => (plain, None),
            (false, true) => (None, html),
            _ => (plain, html),
        };
        let call = EmailCall {
            server,
            from: Mailbox::parse(&from).map_err(|why| RenderError(format!("\"from\": {why}")))?,
            to: addresses(&self.to, "to")?,
            cc: addresses(&self.cc, "cc")?,
            bcc: addresses(&self.bcc, "bcc")?,
            reply_to: addresses(&self.reply_to, "reply_to")?,
            subject,
            text: plain,
            html,
        };
        match call.recipients().len() {
            0 => Err(RenderError("the message is for nobody".to_owned())),
            count if count > EMAIL_RECIPIENTS_MAX => {
                Err(RenderError(format!("the message is for {count} addresses, more than {EMAIL_RECIPIENTS_MAX}")))
            }
            _ => Ok(call),
        }
    }
}

/// Addresses that are no expressions are looked at when the pack is applied.
fn check_constants(entries: &Map<String, Value>, name: &str, keys: &mut Keys<'_>) {
    let Some(value) = entries.get(name).filter(|value| !value.to_string().contains("${")) else { return };
    let at = format!("{AT}/{name}");
    if name == "from" && !value.is_string() {
        return;
    }
    if let Err(RenderError(why)) = address::all(value, &format!("{name:?}")) {
        keys.error(at, Mistake::BadValue, why);
    }
}

impl Works for EmailSpec {
    type Call = Box<EmailCall>;

    fn render(&self, rendering: Rendering<'_>) -> Result<Box<EmailCall>, RenderError> {
        let scope = rendering.scope();
        self.message.render(self.server.render(&scope)?, &scope).map(Box::new)
    }
}

impl Call for Box<EmailCall> {
    fn uses_pack(&self) -> bool {
        self.server.ca_file.is_some()
    }
}

fn text(template: &Template, scope: &Scope<'_>, what: &str) -> Result<String, RenderError> {
    template.render_text(scope).map_err(|e| RenderError(format!("{what}: {e}")))
}

fn limited(template: &Template, scope: &Scope<'_>, what: &str, most: usize) -> Result<String, RenderError> {
    let text = text(template, scope, &format!("{what:?}"))?;
    match text.len() {
        bytes if bytes > most => Err(RenderError(format!("{what:?} of {bytes} bytes is over the limit of {most}"))),
        _ => Ok(text),
    }
}
