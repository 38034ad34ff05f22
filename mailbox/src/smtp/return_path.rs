//! Mail with the null return path (RFC 5321 section 4.5.5), and what is done where a server takes none.
//!
//! Automatic answers must not bounce, so their return path is null. Many submission servers want the account's own address
//! there, though, and tell so at MAIL, at RCPT or only after the last dot.

use super::{Cause, OutgoingMail, RecipientOutcome, SendError, ServerReply, Submission};

/// What came out about the null return path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullPath {
    /// The server took it, or the mail failed for another reason: nothing was learnt.
    Fine,
    /// Refused, and the same mail was taken with the ordinary return path: this account takes none.
    Refused,
}

/// What [`Submission::send`] answers.
pub type Outcome = Result<Vec<(String, RecipientOutcome)>, SendError>;

impl Submission {
    /// Sends a mail with the null return path; where that seems to be what the server does not like, at once again with
    /// `instead`. `mail.return_path` is not looked at.
    ///
    /// The mail goes out twice only after the server has refused it for good the first time, so nobody gets it twice.
    pub async fn send_unreturned(&mut self, mail: OutgoingMail, instead: &str) -> (Outcome, NullPath) {
        let mut mail = OutgoingMail { return_path: None, ..mail };
        let outcome = self.send(&mail).await;
        if self.is_broken() || !may_mean_the_null_path(&outcome) {
            return (outcome, NullPath::Fine);
        }
        mail.return_path = Some(instead.to_owned());
        let second = self.send(&mail).await;
        let taken = second
            .as_ref()
            .is_ok_and(|outcomes| outcomes.iter().any(|(_, outcome)| *outcome == RecipientOutcome::Accepted));
        (second, if taken { NullPath::Refused } else { NullPath::Fine })
    }
}

/// Whether an outcome may be the server's way to say that it wants a return path.
fn may_mean_the_null_path(outcome: &Outcome) -> bool {
    let may = |reply: &ServerReply| {
        reply.is_permanent()
            && matches!(
                Cause::of(reply),
                Cause::Sender | Cause::Policy | Cause::Content | Cause::Login | Cause::Other
            )
    };
    match outcome {
        Err(SendError::Permanent(reply)) => may(reply),
        Ok(outcomes) => {
            !outcomes.is_empty()
                && outcomes
                    .iter()
                    .all(|(_, outcome)| matches!(outcome, RecipientOutcome::Refused(reply) if may(reply)))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_final_refusal_that_may_be_about_the_sender_is_tried_again() {
        let reply = |code, text| ServerReply::new(code, text);
        let refused =
            |code, text| Ok(vec![("a@b.example".to_owned(), RecipientOutcome::Refused(reply(code, text)))]);
        assert!(may_mean_the_null_path(&Err(SendError::Permanent(reply(550, "5.7.60 send as denied")))));
        assert!(may_mean_the_null_path(&Err(SendError::Permanent(reply(501, "syntax")))));
        assert!(may_mean_the_null_path(&refused(554, "5.7.1 null sender not allowed")));
        assert!(!may_mean_the_null_path(&refused(550, "5.1.1 no such user")));
        assert!(!may_mean_the_null_path(&Err(SendError::Transient(reply(450, "4.7.1 later")))));
        assert!(!may_mean_the_null_path(&Err(SendError::Permanent(reply(552, "5.3.4 too big")))));
        assert!(!may_mean_the_null_path(&Err(SendError::Unconfirmed)));
        assert!(!may_mean_the_null_path(&Ok(Vec::new())));
    }
}
