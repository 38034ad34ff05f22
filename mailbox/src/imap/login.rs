//! Greeting and login.

use std::fmt::Debug;

use async_imap::{
    Client, Session,
    imap_proto::{Response, Status},
    types::Capability,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    account::Password,
    connect::ConnectError,
    fetch::FetchError,
    imap::{
        guard::Guarded,
        response::{from_library, from_parser},
    },
    server_text::{clean, clean_login},
};

/// The server's own words in an error text of the library, which shows its parser's fields around them.
fn server_words(text: &str) -> String {
    let words = text.split_once("info: Some(\"").and_then(|(_, rest)| rest.rsplit_once("\")"));
    words.map_or(text, |(words, _)| words).to_owned()
}

/// Gives the session and the capabilities, if the server told them with its answer to the login.
pub(super) async fn login<S>(
    mut client: Client<Guarded<S>>,
    username: &str,
    password: &Password,
    greeted: bool,
) -> Result<(Session<Guarded<S>>, Vec<String>), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Debug + Send,
{
    if greeted {
        let read = client.read_response().await.map_err(|error| from_parser("greeting", error))?;
        let response = read.ok_or(FetchError::Disconnected { during: "greeting" })?;
        match response.parsed() {
            Response::Data { status: Status::Ok, .. } => {}
            Response::Data { status: Status::Bye, outcome } => {
                let text = clean(outcome.information.as_deref().unwrap_or_default().as_bytes());
                return Err(FetchError::Temporary { during: "greeting", text });
            }
            _ => return Err(ConnectError::Greeting { text: "not an IMAP greeting".into() }.into()),
        }
    }
    match client.login_with_capabilities(username, password.reveal()).await {
        Ok((session, capabilities)) => {
            let texts = capabilities.map_or_else(Vec::new, |set| {
                set.iter()
                    .map(|capability| match capability {
                        Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
                        Capability::Auth(name) => clean(format!("AUTH={name}").as_bytes()),
                        Capability::Atom(name) => clean(name.as_bytes()),
                    })
                    .collect()
            });
            Ok((session, texts))
        }
        Err((async_imap::error::Error::No(text) | async_imap::error::Error::Bad(text), _)) => {
            let text = server_words(&text);
            // RFC 5530: the only codes that say it is not the password's fault.
            if ["UNAVAILABLE", "INUSE", "LIMIT"].iter().any(|code| text.contains(&format!("[{code}]"))) {
                return Err(FetchError::Busy { text: clean_login(text.as_bytes(), password) });
            }
            Err(FetchError::LoginRefused { text: clean_login(text.as_bytes(), password) })
        }
        Err((error, _)) => Err(from_library("login", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::server_words;

    #[test]
    fn a_refusal_is_told_in_the_servers_words_alone() {
        let text = "code: None, info: Some(\"[AUTHENTICATIONFAILED] Authentication failed.\")";
        assert_eq!(server_words(text), "[AUTHENTICATIONFAILED] Authentication failed.");
        assert_eq!(server_words("anything else"), "anything else");
    }
}
