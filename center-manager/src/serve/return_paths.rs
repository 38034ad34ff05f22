//! The return path of each mail: the center's address, with a tag where its mail server takes one.

use super::ServeError;
use crate::db::Db;
use crate::settings::Settings;
use crate::system::SystemRandom;
use mailfmt::MessageId;
use mailfmt::mail::returned::ReturnKey;

/// How return paths are made.
#[derive(Debug)]
pub(super) struct ReturnPaths {
    address: String,
    tagged: Option<(ReturnKey, char)>,
}

impl ReturnPaths {
    /// As the settings say; the key stands in the database, and so does whether bounces need a tag to be believed.
    pub(super) fn new(settings: &Settings, db: &mut Db) -> Result<Self, ServeError> {
        let tagged = match settings.subaddress {
            Some(separator) => Some((db.return_key(true, &mut SystemRandom)?, separator)),
            None => {
                db.demand_no_tags()?;
                None
            }
        };
        Ok(Self { address: settings.address.clone(), tagged })
    }

    /// The return path of a mail with this message.
    pub(super) fn of(&self, message: &MessageId) -> String {
        let tagged =
            self.tagged.as_ref().and_then(|(key, separator)| key.path(&self.address, *separator, message));
        tagged.unwrap_or_else(|| self.address.clone())
    }
}
