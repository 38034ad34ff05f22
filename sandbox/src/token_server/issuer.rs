//! Who has which token.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::Instant;

use super::Answer;

/// The service that tokens are for, as Microsoft names it.
const AUDIENCE: &str = "https://outlook.office365.com";

/// An application.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret; `None` for an application that runs where nothing can be kept.
    pub secret: Option<String>,
    /// The mailbox that its own tokens (client credentials) may be used for.
    pub mailbox: String,
    /// Its permissions, as the claim `roles` of its own tokens.
    pub roles: Vec<String>,
}

impl Client {
    /// An application with a secret and all permissions for one mailbox.
    #[must_use]
    pub fn of_mailbox(id: &str, secret: &str, mailbox: &str) -> Self {
        let roles = ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"];
        Self {
            id: id.to_owned(),
            secret: Some(secret.to_owned()),
            mailbox: mailbox.to_owned(),
            roles: roles.map(str::to_owned).to_vec(),
        }
    }
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The mailbox that it is good for.
    pub mailbox: String,
    /// Permissions of an application; `None` for a token that a person has given.
    pub roles: Option<Vec<String>>,
    /// As asked for.
    pub scope: String,
}

/// Tokens that were given.
pub(super) struct Given {
    pub(super) access: String,
    pub(super) life: Duration,
    pub(super) refresh: Option<String>,
}

/// A person who is asked to sign in.
struct SignIn {
    client: String,
    scope: String,
    user_code: String,
    mailbox: Option<String>,
}

struct Books {
    clients: HashMap<String, Client>,
    access: HashMap<String, (Owner, Instant)>,
    /// Refresh tokens: client, mailbox, scope.
    refresh: HashMap<String, (String, String, String)>,
    sign_ins: HashMap<String, SignIn>,
    script: VecDeque<Answer>,
    life: Duration,
    rotates: bool,
    number: u64,
}

/// All tokens of one server.
pub struct Issuer {
    books: Mutex<Books>,
    given: AtomicU64,
}

impl Default for Issuer {
    fn default() -> Self {
        let books = Books {
            clients: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            sign_ins: HashMap::new(),
            script: VecDeque::new(),
            life: Duration::from_hours(1),
            rotates: true,
            number: 0,
        };
        Self { books: Mutex::new(books), given: AtomicU64::new(0) }
    }
}

impl Issuer {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an application known.
    pub fn add_client(&self, client: Client) {
        self.books().clients.insert(client.id.clone(), client);
    }

    /// A refresh token for a person's mailbox, as if the person had signed in.
    #[must_use]
    pub fn refresh_token(&self, client: &str, mailbox: &str) -> String {
        let mut books = self.books();
        let token = books.name("refresh");
        books.refresh.insert(token.clone(), (client.to_owned(), mailbox.to_owned(), String::new()));
        token
    }

    /// The life of tokens that are given from now on.
    pub fn set_life(&self, life: Duration) {
        self.books().life = life;
    }

    /// Whether each use of a refresh token brings another, and ends the one that was used. True at the beginning.
    pub fn set_rotates(&self, rotates: bool) {
        self.books().rotates = rotates;
    }

    /// Answers the next request for a token with this, whatever it asks.
    pub fn script(&self, answer: Answer) {
        self.books().script.push_back(answer);
    }

    /// Withdraws all access tokens, before their end.
    pub fn withdraw_all(&self) {
        self.books().access.clear();
    }

    /// A person types the code and signs in. Tells whether the code is one.
    pub fn sign_in(&self, user_code: &str, mailbox: &str) -> bool {
        let mut books = self.books();
        let found = books.sign_ins.values_mut().find(|sign_in| sign_in.user_code == user_code);
        found.map(|sign_in| sign_in.mailbox = Some(mailbox.to_owned())).is_some()
    }

    /// The code that somebody waits for, if anybody does.
    #[must_use]
    pub fn awaited_code(&self) -> Option<String> {
        let books = self.books();
        books
            .sign_ins
            .values()
            .find(|sign_in| sign_in.mailbox.is_none())
            .map(|sign_in| sign_in.user_code.clone())
    }

    /// Whose an access token is; `None` when it is none, or no longer.
    #[must_use]
    pub fn owner(&self, token: &str) -> Option<Owner> {
        let books = self.books();
        let (owner, end) = books.access.get(token)?;
        (Instant::now() < *end).then(|| owner.clone())
    }

    /// How many tokens were given since the start.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    pub(super) fn scripted(&self) -> Option<Answer> {
        self.books().script.pop_front()
    }

    pub(super) fn knows(&self, client: &str) -> bool {
        self.books().clients.contains_key(client)
    }

    pub(super) fn takes(&self, client: &str, secret: &str) -> bool {
        let books = self.books();
        books.clients.get(client).is_some_and(|client| client.secret.as_deref().unwrap_or_default() == secret)
    }

    pub(super) fn for_client(&self, client: &str, scope: &str) -> Option<Given> {
        let mut books = self.books();
        let client = books.clients.get(client)?.clone();
        client.secret.as_ref()?;
        let owner = Owner { mailbox: client.mailbox, roles: Some(client.roles), scope: scope.to_owned() };
        Some(self.give(&mut books, owner, None))
    }

    pub(super) fn for_refresh(&self, client: &str, refresh: &str, scope: &str) -> Option<Given> {
        let mut books = self.books();
        let (owner, mailbox, first_scope) = books.refresh.get(refresh)?.clone();
        if owner != client {
            return None;
        }
        let next = books.rotates.then(|| books.name("refresh"));
        if let Some(next) = &next {
            books.refresh.remove(refresh);
            books.refresh.insert(next.clone(), (owner, mailbox.clone(), first_scope.clone()));
        }
        let scope = if scope.is_empty() { first_scope } else { scope.to_owned() };
        Some(self.give(&mut books, Owner { mailbox, roles: None, scope }, next))
    }

    pub(super) fn begin_sign_in(&self, client: &str, scope: &str) -> Option<(String, String)> {
        let mut books = self.books();
        books.clients.get(client)?;
        let device_code = books.name("device");
        let user_code = format!("CODE-{:04}", books.number);
        let sign_in = SignIn {
            client: client.to_owned(),
            scope: scope.to_owned(),
            user_code: user_code.clone(),
            mailbox: None,
        };
        books.sign_ins.insert(device_code.clone(), sign_in);
        Some((device_code, user_code))
    }

    /// The tokens of a person who has signed in; the error code while that is awaited.
    pub(super) fn finish_sign_in(
        &self,
        client: &str,
        device_code: &str,
    ) -> Result<Option<Given>, &'static str> {
        let mut books = self.books();
        let known = books.sign_ins.get(device_code).filter(|sign_in| sign_in.client == client);
        let Some(sign_in) = known else { return Err("expired_token") };
        let Some(mailbox) = sign_in.mailbox.clone() else { return Err("authorization_pending") };
        let scope = sign_in.scope.clone();
        books.sign_ins.remove(device_code);
        let refresh = books.name("refresh");
        books.refresh.insert(refresh.clone(), (client.to_owned(), mailbox.clone(), scope.clone()));
        Ok(Some(self.give(&mut books, Owner { mailbox, roles: None, scope }, Some(refresh))))
    }

    fn give(&self, books: &mut Books, owner: Owner, refresh: Option<String>) -> Given {
        let mut claims = json!({"aud": AUDIENCE, "sub": owner.mailbox, "jti": books.name("id")});
        match &owner.roles {
            Some(roles) => claims["roles"] = json!(roles),
            None => claims["scp"] = json!("IMAP.AccessAsUser.All POP.AccessAsUser.All SMTP.Send"),
        }
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let secret = books.name("secret");
        let access = format!(
            "{}.{}.{}",
            part(json!({"alg": "none"}).to_string()),
            part(claims.to_string()),
            part(secret)
        );
        let life = books.life;
        books.access.insert(access.clone(), (owner, Instant::now() + life));
        self.given.fetch_add(1, Ordering::Relaxed);
        Given { access, life, refresh }
    }
}

impl Books {
    /// A name that nobody guesses.
    fn name(&mut self, kind: &str) -> String {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).expect("the kernel has random numbers for us");
        self.number += 1;
        format!("{kind}-{}-{}", self.number, URL_SAFE_NO_PAD.encode(octets))
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("given", &self.given()).finish_non_exhaustive()
    }
}
