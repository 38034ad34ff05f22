//! One large mail, line by line.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    fetch::{FetchError, Item, Sink},
    pop3::{Transaction, reply::Reply},
};

impl<S: AsyncRead + AsyncWrite + Unpin> Transaction<S> {
    /// One mail, byte for byte as it is stored, lines ended by CRLF, given to `sink` as it comes. Gives its octets.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] without reading it, [`FetchError::Gone`] when the server no longer has it,
    /// [`FetchError::Sink`], and what ends the session.
    pub async fn retrieve_into(&mut self, item: &Item, sink: &mut Sink<'_>) -> Result<u64, FetchError> {
        const DURING: &str = "reading mail";
        let wire = self.wire();
        wire.check_in_step()?;
        let limit_octets = wire.limits.message_octets_max;
        if item.size_octets > limit_octets {
            let (id, size_octets) = (item.id.clone(), item.size_octets);
            return Err(FetchError::TooLarge { id, size_octets, limit_octets });
        }
        wire.send(DURING, format!("RETR {}\r\n", item.handle).as_bytes()).await?;
        match wire.reply(DURING).await? {
            Reply::Ok(_) => {}
            Reply::Err { code, text } if code.starts_with("SYS/") => {
                return Err(FetchError::from_code(DURING, &code, text));
            }
            Reply::Err { .. } => return Err(FetchError::Gone { id: item.id.clone() }),
            Reply::Continue(_) => {
                return Err(FetchError::Protocol { during: DURING, detail: "unasked continuation".into() });
            }
        }
        wire.mail_into(DURING, limit_octets, sink).await.map_err(|error| match error {
            FetchError::Protocol { detail, .. } => FetchError::Unreadable { id: item.id.clone(), detail },
            other => other,
        })
    }
}
