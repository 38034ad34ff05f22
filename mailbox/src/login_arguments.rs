//! Flags of a command line that say how an account logs in, and what they ask to be done before the first login.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    account::{Account, Login},
    limits::Limits,
    oauth::{self, AccessToken, Flow, OAuth2Settings, OAuth2SettingsError, Provider, TokenError},
};

/// How to log in.
#[derive(Debug, Default, Clone, clap::Args)]
pub struct LoginArguments {
    /// `password` for the strongest mechanism that the server offers, or one that it must offer: scram-sha-256, scram-sha-1,
    /// cram-md5, plain, login.
    #[arg(long, value_name = "MECHANISM", value_parser = Login::by_password, conflicts_with = "oauth")]
    login: Option<Login>,
    /// Log in by access tokens of this provider (OAuth 2.0); the password file then holds the client secret, if there is one.
    #[arg(long, value_enum, value_name = "PROVIDER", requires = "client_id")]
    oauth: Option<TokenProvider>,
    /// Microsoft's id or domain of the organisation.
    #[arg(long, value_name = "TENANT", requires = "oauth")]
    tenant: Option<String>,
    /// The application's id at the provider.
    #[arg(long, value_name = "ID", requires = "oauth")]
    client_id: Option<String>,
    /// How a token is come by; by the client secret if not given, for Google by a refresh token.
    #[arg(long, value_enum, value_name = "FLOW", requires = "oauth")]
    flow: Option<TokenFlow>,
    /// What the token is asked for, where it is not what the provider documents for mail.
    #[arg(long, value_name = "SCOPE", requires = "oauth")]
    scope: Option<String>,
    /// The token endpoint of another provider.
    #[arg(long, value_name = "URL", requires = "oauth")]
    token_url: Option<String>,
    /// Where a sign-in by code begins at another provider.
    #[arg(long, value_name = "URL", requires = "oauth")]
    device_url: Option<String>,
    /// File whose first line is a refresh token; it is copied.
    #[arg(long, value_name = "FILE")]
    refresh_token_file: Option<PathBuf>,
    /// Sign in by code: shows a page and a code for a browser on any machine.
    #[arg(long, conflicts_with = "refresh_token_file")]
    sign_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TokenProvider {
    /// Microsoft 365.
    Microsoft,
    /// Google Workspace and Gmail.
    Google,
    /// Another one; needs --token-url.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TokenFlow {
    /// By the application's secret alone.
    ClientCredentials,
    /// By a refresh token of a person who has signed in.
    RefreshToken,
}

/// Why the first login could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The refresh token cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The provider gave no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl LoginArguments {
    /// The login that the flags name, if they name one.
    ///
    /// # Errors
    /// What the provider needs is missing, or is no address.
    pub fn login(&self) -> Result<Option<Login>, OAuth2SettingsError> {
        let (Some(provider), Some(client_id)) = (self.oauth, &self.client_id) else {
            return Ok(self.login.clone());
        };
        let by_person =
            provider == TokenProvider::Google || self.sign_in || self.refresh_token_file.is_some();
        let usual = if by_person { TokenFlow::RefreshToken } else { TokenFlow::ClientCredentials };
        let settings = OAuth2Settings {
            provider: match provider {
                TokenProvider::Microsoft => Provider::Microsoft,
                TokenProvider::Google => Provider::Google,
                TokenProvider::Other => Provider::Other,
            },
            flow: match self.flow.unwrap_or(usual) {
                TokenFlow::ClientCredentials => Flow::ClientCredentials,
                TokenFlow::RefreshToken => Flow::RefreshToken,
            },
            client_id: client_id.clone(),
            tenant: self.tenant.clone(),
            scope: self.scope.clone(),
            token_url: self.token_url.clone(),
            device_url: self.device_url.clone(),
            mechanism: None,
        };
        settings.endpoints()?;
        Ok(Some(Login::OAuth2(Box::new(settings))))
    }

    /// What has to be done once before the first login: a refresh token is taken over, or a person signs in, who is told by
    /// `tell` where.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub async fn prepare(
        &self,
        account: &Account,
        limits: &Limits,
        mut tell: impl FnMut(&str) -> io::Result<()>,
    ) -> Result<(), PrepareError> {
        if let Some(file) = &self.refresh_token_file {
            let token = first_line(file, AccessToken::OCTETS_MAX)?;
            account.sign_in(limits, AccessToken::new(token.to_string())).await?;
        }
        if self.sign_in {
            let cannot_tell = |source| SecretFileError::Unreadable { path: PathBuf::from("-"), source };
            let prompt = oauth::device::begin(account, limits).await?;
            tell(&format!(
                "Open {} and type the code {} (until {:.0}).",
                prompt.page, prompt.code, prompt.expires
            ))
            .map_err(cannot_tell)?;
            oauth::device::finish(account, &prompt, limits).await?;
            tell("Signed in.").map_err(cannot_tell)?;
        }
        Ok(())
    }
}

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its first line is empty.
    #[error("{} is empty", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

/// The first line of a file with a secret, of which at most `octets_max` octets are taken; `-` is standard input.
///
/// # Errors
/// [`SecretFileError`].
pub fn first_line(path: &Path, octets_max: usize) -> Result<Zeroizing<String>, SecretFileError> {
    let mut text = Zeroizing::new(String::new());
    let limit = u64::try_from(octets_max).unwrap_or(u64::MAX).saturating_add(2);
    match path == Path::new("-") {
        true => io::stdin().take(limit).read_to_string(&mut text),
        false => File::open(path).and_then(|opened| opened.take(limit).read_to_string(&mut text)),
    }
    .map_err(|source| SecretFileError::Unreadable { path: path.to_owned(), source })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(SecretFileError::Empty { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Mechanism;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        login: LoginArguments,
    }

    fn login(line: &str) -> Result<Option<Login>, String> {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split_ascii_whitespace()));
        line.map_err(|error| error.to_string())?.login.login().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_name_a_mechanism_or_a_provider_or_nothing() {
        assert_eq!(login(""), Ok(None));
        assert_eq!(login("--login cram-md5"), Ok(Some(Login::Mechanism(Mechanism::CramMd5))));
        assert!(login("--login gssapi").unwrap_err().contains("scram-sha-256"));
        let Ok(Some(Login::OAuth2(settings))) =
            login("--oauth microsoft --tenant contoso.example --client-id 12")
        else {
            panic!("a login by token")
        };
        assert_eq!((settings.provider, settings.flow), (Provider::Microsoft, Flow::ClientCredentials));
        let Ok(Some(Login::OAuth2(settings))) = login("--oauth google --client-id 12") else {
            panic!("a login by token")
        };
        assert_eq!(settings.flow, Flow::RefreshToken);
        assert!(login("--oauth microsoft --client-id 12").unwrap_err().contains("tenant"));
        assert!(
            login("--oauth other --client-id 12 --token-url http://id.example/")
                .unwrap_err()
                .contains("https")
        );
    }

    #[test]
    fn a_secret_is_the_first_line_and_an_empty_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2\r\nnotes\n").unwrap();
        assert_eq!(*first_line(&file, 100).unwrap(), "hunter2");
        std::fs::write(&file, "\nhunter2\n").unwrap();
        assert!(matches!(first_line(&file, 100), Err(SecretFileError::Empty { .. })));
        let missing = first_line(&folder.path().join("none"), 100).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
    }
}
