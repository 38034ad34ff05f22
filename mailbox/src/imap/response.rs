//! What single responses mean, and errors of the library in our words.

use std::io;

use async_imap::imap_proto::{AttributeValue, Capability, MailboxDatum, Response, Status};

use crate::{fetch::FetchError, imap::tidy::TidyFault, server_text::clean};

/// Follows the number of mails; a good-bye ends the session.
pub(super) fn note(during: &'static str, response: &Response<'_>, exists: u32) -> Result<u32, FetchError> {
    match response {
        Response::MailboxData(MailboxDatum::Exists(number)) => Ok(*number),
        Response::Expunge(_) => Ok(exists.saturating_sub(1)),
        Response::Data { status: Status::Bye, .. } => Err(FetchError::Disconnected { during }),
        _ => Ok(exists),
    }
}

pub(super) fn body_of<'a>(response: &'a Response<'_>) -> Option<(u32, Option<&'a [u8]>)> {
    let Response::Fetch(_, attributes) = response else { return None };
    let (mut uid, mut body) = (None, None);
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(number) => uid = Some(*number),
            AttributeValue::BodySection { section: None, data, .. } => body = data.as_deref(),
            _ => {}
        }
    }
    Some((uid?, body))
}

pub(super) fn capability_texts(list: &[Capability<'_>]) -> Vec<String> {
    list.iter()
        .map(|capability| match capability {
            Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
            Capability::Auth(name) => clean(format!("AUTH={name}").as_bytes()),
            Capability::Atom(name) => clean(name.as_bytes()),
        })
        .collect()
}

pub(super) fn check_status(
    during: &'static str,
    status: &Status,
    text: Option<&str>,
) -> Result<(), FetchError> {
    match status {
        Status::Ok => Ok(()),
        _ => Err(FetchError::Refused { during, text: clean(text.unwrap_or_default().as_bytes()) }),
    }
}

pub(super) fn from_library(during: &'static str, error: async_imap::error::Error) -> FetchError {
    use async_imap::error::Error;
    match error {
        Error::Io(error) => from_parser(during, error),
        Error::ConnectionLost => FetchError::Disconnected { during },
        Error::No(text) | Error::Bad(text) => FetchError::Refused { during, text: clean(text.as_bytes()) },
        _ => FetchError::Protocol { during, detail: "a response that cannot be read".into() },
    }
}

/// The library's parse error holds its whole buffer, mail content and all: it goes no further than this.
pub(super) fn from_parser(during: &'static str, error: io::Error) -> FetchError {
    match error.kind() {
        io::ErrorKind::Other => {
            FetchError::Protocol { during, detail: "a response that cannot be read".into() }
        }
        io::ErrorKind::InvalidData => {
            let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<TidyFault>());
            match fault {
                Some(fault) => FetchError::Protocol { during, detail: fault.to_string() },
                None => FetchError::Io { during, source: error },
            }
        }
        _ => FetchError::from_io(during, error),
    }
}
