//! The IMAP server.
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::office::Office;
use super::wire::{Gone, Wire};

/// Serves one connection until it ends. `secured` when it already runs over TLS.
pub(super) async fn serve(
    mut wire: Wire,
    _office: &Arc<Office>,
    _acceptor: &TlsAcceptor,
    _secured: bool,
) -> Result<(), Gone> {
    wire.close().await
}
