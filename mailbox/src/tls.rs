//! TLS for every connection: one provider, the system's certificate authorities, and those of the settings.

mod time;

pub(crate) use time::wrong_dates;
pub use time::{CertificateDates, TlsClock, TlsTime};

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::{VerifierBuilderError, WebPkiServerVerifier},
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject as _},
};

use crate::account::Account;

/// Why no TLS connection can even be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The extra CA file is unreadable or not PEM.
    #[error("cannot read certificates from {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate of the CA file is not usable as an authority, or the file holds none.
    #[error("{} holds no usable CA certificate", path.display())]
    CaUnusable {
        /// The file.
        path: PathBuf,
    },
    /// Neither the system nor the settings name an authority.
    #[error("no certificate authority to trust: install the system's (ca-certificates) or set ca_file")]
    NoRoots,
    /// The host is neither a name nor an IP address.
    #[error("{host:?} is not a host name or IP address")]
    ServerName {
        /// The host as set.
        host: String,
        /// Which rule it breaks.
        source: InvalidDnsNameError,
    },
    /// rustls refuses its own settings.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// The authorities cannot be used together.
    #[error("the certificate authorities cannot be used")]
    Verifier(#[source] VerifierBuilderError),
}

/// The client configuration: ring, TLS 1.2 and 1.3, the system's roots and those in `ca_file`; certificates are judged
/// by the time that `clock` tells.
///
/// # Errors
/// [`TlsError`] when the file is unusable or nobody is trusted.
pub fn client_config(ca_file: Option<&Path>, clock: TlsClock) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    // Single odd certificates in the system's store are normal and skipped.
    roots.add_parsable_certificates(native_roots().iter().cloned());
    if let Some(path) = ca_file {
        let file_error = |source| TlsError::CaFile { path: path.into(), source };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(file_error)? {
            roots
                .add(certificate.map_err(file_error)?)
                .map_err(|_| TlsError::CaUnusable { path: path.into() })?;
        }
        if roots.len() == before {
            return Err(TlsError::CaUnusable { path: path.into() });
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    // The provider is named here: a second one in the dependency tree would make the implicit choice panic.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(TlsError::Verifier)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        // It takes nothing away from webpki's checks but the choice of the time.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(time::TimedVerifier { inner, clock }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The system's store, read once per process: it takes milliseconds and hardly ever changes.
fn native_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            tracing::warn!(errors = found.errors.len(), "the system has no certificate authorities");
        }
        found.certs
    })
}

/// The configuration of an account, built at its first use.
pub(crate) fn account_config(account: &Account) -> Result<Arc<ClientConfig>, TlsError> {
    if let Some(config) = account.tls.get() {
        return Ok(config.clone());
    }
    let config = client_config(account.settings.ca_file.as_deref(), account.clock.clone())?;
    Ok(account.tls.get_or_init(|| config).clone())
}

/// The name that the certificate must carry; an IP address is checked against the certificate's addresses.
///
/// # Errors
/// [`TlsError::ServerName`] when it is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|source| TlsError::ServerName { host: host.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(ca_file: &Path) -> Result<Arc<ClientConfig>, TlsError> {
        client_config(Some(ca_file), Arc::new(TlsTime::system))
    }

    #[test]
    fn a_server_name_may_be_an_ip_address() {
        assert!(matches!(server_name("127.0.0.2").unwrap(), ServerName::IpAddress(_)));
        assert!(matches!(server_name("2001:db8::1").unwrap(), ServerName::IpAddress(_)));
        assert!(matches!(server_name("mail.example").unwrap(), ServerName::DnsName(_)));
        assert!(server_name("not a host").is_err());
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_an_error_not_a_silent_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(config(&path), Err(TlsError::CaFile { .. })));
        std::fs::write(&path, "just text\n").unwrap();
        assert!(matches!(config(&path), Err(TlsError::CaUnusable { .. })));
    }

    #[test]
    fn a_ca_file_of_the_settings_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let made = rcgen::generate_simple_self_signed(vec!["mail.example".into()]).unwrap();
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert!(config(&path).is_ok());
    }
}
