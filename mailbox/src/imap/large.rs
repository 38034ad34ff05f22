//! One large mail, piece by piece.

use std::fmt::Debug;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    fetch::{FetchError, Item, Sink},
    imap::{ImapSession, response::body_of},
};

/// Size of a piece. The library buffers a piece more than once; so it is smaller than one that is kept anyway.
const PIECE_OCTETS: u32 = 256 << 10;

impl<S: AsyncRead + AsyncWrite + Unpin + Debug + Send> ImapSession<S> {
    /// One mail, byte for byte as stored, given to `sink` in pieces. Gives its octets.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] without reading it, [`FetchError::Gone`], [`FetchError::Sink`], and what ends the session.
    pub async fn retrieve_into(&mut self, item: &Item, sink: &mut Sink<'_>) -> Result<u64, FetchError> {
        let limit_octets = self.limits().message_octets_max;
        if item.size_octets > limit_octets {
            let (id, size_octets) = (item.id.clone(), item.size_octets);
            return Err(FetchError::TooLarge { id, size_octets, limit_octets });
        }
        let piece_octets = self.limits().piece_octets.clamp(1, PIECE_OCTETS);
        let mut octets = 0_u64;
        loop {
            let command = format!("UID FETCH {} (UID BODY.PEEK[]<{octets}.{piece_octets}>)", item.handle);
            let mut piece = None;
            self.run(&command, "reading mail", |response| {
                if let Some((uid, Some(data))) = body_of(response)
                    && uid == item.handle
                    // A second answer to one question would put octets twice.
                    && piece.is_none()
                {
                    piece = Some(data.len());
                    return sink(data).map_err(FetchError::Sink);
                }
                Ok(())
            })
            .await?;
            let Some(came) = piece else {
                return Err(FetchError::Gone { id: item.id.clone() });
            };
            octets = octets.saturating_add(came as u64);
            if octets > limit_octets {
                let detail = format!("longer than announced, and than {limit_octets} octets");
                return Err(FetchError::Unreadable { id: item.id.clone(), detail });
            }
            // A short piece is the last. The announced size is not asked: some servers count LF, not CRLF.
            if came < usize::try_from(piece_octets).unwrap_or(usize::MAX) {
                return Ok(octets);
            }
        }
    }
}
