//! Which mail servers a mail address has, by the names and ports that are usual: tried out, so that nobody types them.
//!
//! Only connections are tried, no login: the password goes to no server whose certificate was not looked at.

use futures_util::future::join_all;
use mailbox::{Protocol, Security, Server};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a server may take to be reached.
const REACH_WAIT: Duration = Duration::from_secs(4);

/// The servers of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailServers {
    pub(super) smtp: Server,
    pub(super) fetch: Protocol,
    pub(super) fetch_server: Server,
}

/// What may be there for a domain, the best first. Nothing without TLS is guessed (RFC 8314).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidates {
    smtp: Vec<Server>,
    fetch: Vec<(Protocol, Server)>,
}

impl Candidates {
    fn of(domain: &str) -> Self {
        let server = |prefix: &str, port, security| {
            let host = if prefix.is_empty() { domain.to_owned() } else { format!("{prefix}.{domain}") };
            Server { host, port, security }
        };
        let mut smtp = Vec::new();
        for (port, security) in [(465, Security::Tls), (587, Security::StartTls)] {
            smtp.extend(["smtp", "mail", ""].map(|prefix| server(prefix, port, security)));
        }
        let mut fetch = Vec::new();
        for (protocol, prefixes, port, security) in [
            (Protocol::Imap, ["imap", "mail", ""], 993, Security::Tls),
            (Protocol::Pop3, ["pop", "pop3", "mail"], 995, Security::Tls),
            (Protocol::Imap, ["imap", "mail", ""], 143, Security::StartTls),
        ] {
            fetch.extend(prefixes.map(|prefix| (protocol, server(prefix, port, security))));
        }
        Self { smtp, fetch }
    }
}

/// The servers of a domain that can be reached; `None` if one of the two kinds is missing.
pub(super) async fn look_for(domain: &str) -> Option<MailServers> {
    let Candidates { smtp, fetch } = Candidates::of(domain);
    let all = smtp.iter().chain(fetch.iter().map(|(_, server)| server));
    let reached: Vec<&Server> = join_all(all.map(reach)).await.into_iter().flatten().collect();
    let smtp = smtp.iter().find(|server| reached.contains(server))?.clone();
    let (fetch, fetch_server) = fetch.iter().find(|(_, server)| reached.contains(&server))?.clone();
    Some(MailServers { smtp, fetch, fetch_server })
}

async fn reach(server: &Server) -> Option<&Server> {
    let connected = TcpStream::connect((server.host.as_str(), server.port));
    tokio::time::timeout(REACH_WAIT, connected).await.ok()?.ok().map(|_| server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_from_the_first_octet_is_preferred_and_nothing_unprotected_is_guessed() {
        let Candidates { smtp, fetch } = Candidates::of("site.example");
        assert_eq!(
            smtp[0],
            Server { host: "smtp.site.example".to_owned(), port: 465, security: Security::Tls }
        );
        assert_eq!(
            fetch[0],
            (
                Protocol::Imap,
                Server { host: "imap.site.example".to_owned(), port: 993, security: Security::Tls }
            )
        );
        let all = || smtp.iter().chain(fetch.iter().map(|(_, server)| server));
        assert!(all().all(|server| server.security != Security::Plain));
        assert!(all().all(|server| server.host.ends_with("site.example")), "no host outside the domain");
        let first_starttls = smtp.iter().position(|server| server.security == Security::StartTls).unwrap();
        assert!(smtp[first_starttls..].iter().all(|server| server.security == Security::StartTls));
    }

    #[tokio::test]
    async fn a_domain_without_servers_has_none() {
        assert_eq!(look_for("nothing.invalid").await, None);
    }
}
