//! The IMAP server (RFC 3501 with IDLE, UIDPLUS, LITERAL+, SASL-IR, UNSELECT, NAMESPACE and ID): the loop between a
//! connection and the dialog. Every mailbox is the INBOX of its login.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::faults::IdleFault;
use super::office::Office;
use super::wire::{Gone, Line, WRITE_LARGE, Wire};

mod command;
mod cursor;
mod dialog;
mod fetch;
mod search;
mod set;
mod view;

use command::Request;
use dialog::{Dialog, FetchWork, Then};

/// Longest line between two literals.
const LINE_LIMIT: usize = 64 * 1024;
/// Most literals in one command, and their greatest size before login.
const LITERALS_LIMIT: usize = 32;
const LITERAL_LIMIT_BEFORE_LOGIN: usize = 4096;

/// Serves one connection until it ends. `secured` when it already runs over TLS.
pub(super) async fn serve(
    mut wire: Wire,
    office: &Arc<Office>,
    acceptor: &TlsAcceptor,
    secured: bool,
) -> Result<(), Gone> {
    wire.in_service().await?;
    let mut dialog = Dialog::new(office, secured);
    dialog.greet(wire.output());
    loop {
        let then = if dialog.awaits_answer() {
            match wire.line(LINE_LIMIT).await? {
                Line::Text(line) => dialog.answer(&line, wire.output()),
                Line::TooLong => return too_much(&mut wire).await,
            }
        } else {
            let limit =
                if dialog.is_logged_in() { office.settings.size_limit } else { LITERAL_LIMIT_BEFORE_LOGIN };
            let Some(command) = read_command(&mut wire, limit).await? else {
                return too_much(&mut wire).await;
            };
            match Request::read(&command) {
                Some(request) => dialog.request(request, wire.output()),
                None => {
                    wire.put(b"* BAD No tag\r\n");
                    Then::Listen
                }
            }
        };
        match then {
            Then::Listen => {}
            Then::LoggedIn(name) => wire.logged_in(&name),
            Then::Fetch(work) => fetch_all(&mut wire, &mut dialog, &work).await?,
            Then::Idle(tag) => idle(&mut wire, &mut dialog, &tag).await?,
            Then::StartTls => {
                wire.flush().await?;
                wire.start_tls(acceptor).await?;
                dialog = Dialog::new(office, true);
            }
            Then::Close => return wire.close().await,
        }
    }
}

async fn too_much(wire: &mut Wire) -> Result<(), Gone> {
    wire.put(b"* BYE Command too long\r\n");
    wire.close().await
}

/// Reads a command with its literals, as one run of octets. `None` when it is beyond the limits.
async fn read_command(wire: &mut Wire, literal_limit: usize) -> Result<Option<Vec<u8>>, Gone> {
    let mut command = Vec::new();
    for _ in 0..LITERALS_LIMIT {
        let Line::Text(line) = wire.line(LINE_LIMIT).await? else { return Ok(None) };
        command.extend_from_slice(&line);
        let Some(literal) = cursor::literal_at_end(&line) else { return Ok(Some(command)) };
        if literal.octets > literal_limit {
            return Ok(None);
        }
        if literal.waits {
            wire.put(b"+ Ready for literal\r\n");
        }
        command.extend_from_slice(b"\r\n");
        wire.exactly(literal.octets, &mut command).await?;
    }
    Ok(None)
}

/// Answers FETCH mail by mail, so that a great mailbox is never in memory twice.
async fn fetch_all(wire: &mut Wire, dialog: &mut Dialog<'_>, work: &FetchWork) -> Result<(), Gone> {
    for pick in &work.picks {
        let with_body = dialog.fetch(work, *pick, wire.output());
        if with_body && wire.cut_midway() {
            return Err(wire.flush_half().await);
        }
        if wire.output().len() > WRITE_LARGE {
            wire.flush().await?;
        }
    }
    dialog.fetched(work, wire.output());
    Ok(())
}

/// Tells of changes until the client says DONE (RFC 2177).
async fn idle(wire: &mut Wire, dialog: &mut Dialog<'_>, tag: &str) -> Result<(), Gone> {
    let fault = wire.idle_fault();
    if fault == Some(IdleFault::Refused) {
        wire.put(format!("{tag} NO IDLE is not for you\r\n").as_bytes());
        return Ok(());
    }
    wire.put(b"+ idling\r\n");
    match fault {
        Some(IdleFault::SaysGoodBye) => {
            wire.put(b"* BYE Until another time\r\n");
            wire.close().await?;
            return Err(Gone::Cut);
        }
        Some(IdleFault::EndsAtOnce) => {
            wire.put(format!("{tag} OK IDLE was long enough\r\n").as_bytes());
            return Ok(());
        }
        Some(IdleFault::FallsSilent) => loop {
            wire.line(LINE_LIMIT).await?;
        },
        Some(IdleFault::Refused | IdleFault::NeverTells) | None => {}
    }
    let tells = fault.is_none();
    let mut changes = dialog.changes().filter(|_| tells);
    loop {
        // Marked as seen before looking, so that nothing falls between.
        if let Some(changes) = &mut changes {
            changes.mark_unchanged();
        }
        if tells {
            dialog.tell_changes(wire.output());
        }
        wire.flush().await?;
        let changed = async {
            match &mut changes {
                Some(changes) => changes.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            line = wire.line(LINE_LIMIT) => {
                let done = matches!(line?, Line::Text(line) if line.eq_ignore_ascii_case(b"DONE"));
                let end = if done { "OK IDLE completed" } else { "BAD Expected DONE" };
                wire.put(format!("{tag} {end}\r\n").as_bytes());
                return Ok(());
            }
            _ = changed => {}
        }
    }
}
