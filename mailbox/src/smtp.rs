//! Handing mail in by SMTP submission (RFC 6409), by `lettre` over our own stream.
//!
//! Its connection is driven command by command, because its high-level transport has no result per recipient, drops the
//! connection at the first refused one, and lets each mail wait for a delayed acknowledgement.

mod body;
mod cause;
mod error;
mod extensions;
mod heard;
pub mod kept;
mod login;
mod return_path;
mod stream;
mod submission;

use std::sync::Arc;

use crate::{
    account::{Account, Security},
    limits::Limits,
    sasl::Way,
};

pub use cause::Cause;
pub use error::{SendError, ServerReply};
pub use extensions::Extensions;
pub use return_path::{NullPath, Outcome};
pub use submission::Submission;

/// One mail to be handed in.
#[derive(Debug, Clone)]
pub struct OutgoingMail {
    /// Where bounces go; `None` is the null return path `<>` (RFC 5321 section 4.5.5), for answers that must not bounce.
    pub return_path: Option<String>,
    /// Envelope recipients, `local@domain`. At least one.
    pub recipients: Vec<String>,
    /// The whole mail, header and body. Line ends are made CRLF on the way, one is added at the end if it is missing.
    pub raw: Arc<[u8]>,
}

/// What the server said to one recipient of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientOutcome {
    /// The server has taken over the mail for this recipient.
    Accepted,
    /// Refused for good (5xx): no such mailbox, not allowed.
    Refused(ServerReply),
    /// Not now (4xx): try this recipient again later.
    Deferred(ServerReply),
}

/// What a trial login found, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionReport {
    /// Name of the server as it gave it.
    pub server_name: String,
    /// Protection of the connection.
    pub security: Security,
    /// What the server can do.
    pub extensions: Extensions,
    /// How the login was made; `None` for a server that takes mail without.
    pub login: Option<Way>,
}

/// Connects, sends one mail, leaves.
///
/// # Errors
/// [`SendError`] when the mail went to nobody for a reason that concerns all recipients. A recipient's own refusal is
/// in the result, in the order of `mail.recipients`.
pub async fn send(
    account: &Account,
    limits: &Limits,
    mail: &OutgoingMail,
) -> Result<Vec<(String, RecipientOutcome)>, SendError> {
    let mut submission = Submission::connect(account, limits).await?;
    let outcome = submission.send(mail).await?;
    // The mail is accepted; a server that fumbles its good-bye does not change that.
    if let Err(error) = submission.quit().await {
        tracing::debug!(%error, "the mail server did not end the session in order");
    }
    Ok(outcome)
}

/// Connects, logs in and leaves, without sending anything.
///
/// # Errors
/// [`SendError`], as from [`Submission::connect`].
pub async fn check_login(account: &Account, limits: &Limits) -> Result<SubmissionReport, SendError> {
    let submission = Submission::connect(account, limits).await?;
    let report = SubmissionReport {
        server_name: submission.server_name(),
        security: account.settings.smtp.security,
        extensions: submission.extensions().clone(),
        login: submission.login(),
    };
    submission.quit().await?;
    Ok(report)
}
