//! The SMTP server for handing in mail (RFC 5321, RFC 6409): the loop between a connection and the dialog.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::office::Office;
use super::wire::{Gone, Line, Wire};

mod command;
mod data;
mod dialog;

use data::{DataReader, Text};
use dialog::{Dialog, Then};

/// Longest command line: RFC 4954 section 4 asks for 12288 octets in AUTH.
const LINE_LIMIT: usize = 12 * 1024;

/// Serves one connection until it ends. `secured` when it already runs over TLS.
pub(super) async fn serve(
    mut wire: Wire,
    office: &Arc<Office>,
    acceptor: &TlsAcceptor,
    secured: bool,
) -> Result<(), Gone> {
    wire.in_service().await?;
    let mut dialog = Dialog::new(office, secured);
    wire.put(dialog.greeting().as_bytes());
    loop {
        let answer = match wire.line(LINE_LIMIT).await? {
            Line::Text(line) => dialog.line(&line),
            Line::TooLong => dialog.line_too_long(),
        };
        wire.put(answer.reply.as_bytes());
        match answer.then {
            Then::Listen => {}
            Then::LoggedIn(name) => wire.logged_in(&name),
            Then::TakeMail => {
                let text = take_text(&mut wire, office.settings.size_limit).await?;
                let answer = dialog.mail(text);
                if answer.then == Then::Vanish {
                    return Err(Gone::Cut);
                }
                wire.put(answer.reply.as_bytes());
            }
            Then::StartTls => {
                wire.flush().await?;
                wire.start_tls(acceptor).await?;
                dialog = Dialog::new(office, true);
            }
            Then::Close => return wire.close().await,
            Then::Vanish => return Err(Gone::Cut),
        }
    }
}

/// Reads the text of a mail up to the final dot.
async fn take_text(wire: &mut Wire, size_limit: usize) -> Result<Text, Gone> {
    let mut reader = DataReader::new(size_limit);
    loop {
        let taken = reader.feed(wire.input());
        wire.taken(taken);
        if reader.is_complete() {
            return Ok(reader.into_text());
        }
        wire.more(true).await?;
        if wire.cut_midway() {
            return Err(Gone::Cut);
        }
    }
}
