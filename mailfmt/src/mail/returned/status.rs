//! Enhanced status codes (RFC 3463, RFC 5248).

/// An enhanced status code such as `5.1.1`: class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// 2 success, 4 not yet, 5 never.
    pub class: u8,
    /// What it is about: address, mailbox, system, network, protocol, content, policy.
    pub subject: u16,
    /// What of that.
    pub detail: u16,
}

impl Status {
    /// Reads one; what follows it, as the comment that RFC 3464 allows, is left aside.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::at_start(text.trim_start())
    }

    /// The first one in a text, where it stands as a word of its own.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let starts = |before: char| !before.is_ascii_alphanumeric() && before != '.';
        let mut before = ' ';
        for (at, character) in text.char_indices() {
            if starts(before)
                && matches!(character, '2' | '4' | '5')
                && let Some(status) = text.get(at..).and_then(Self::at_start)
            {
                return Some(status);
            }
            before = character;
        }
        None
    }

    fn at_start(text: &str) -> Option<Self> {
        let (class, rest) = number(text)?;
        let (subject, rest) = number(rest.strip_prefix('.')?)?;
        let (detail, rest) = number(rest.strip_prefix('.')?)?;
        // An IPv4 address or a version is none.
        let more =
            rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
        let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        (!more && !rest.starts_with(|next: char| next.is_ascii_alphanumeric())).then_some(Self {
            class,
            subject,
            detail,
        })
    }
}

/// Up to three digits.
fn number(text: &str) -> Option<(u16, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    (1..=3).contains(&digits).then(|| number.parse().ok()).flatten().map(|number| (number, rest))
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The first SMTP reply code of a text (RFC 5321, 4.2): 4xx or 5xx as a word of its own.
pub(super) fn reply_code(text: &str) -> Option<u16> {
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        if !before.is_ascii_alphanumeric()
            && !matches!(before, '.' | '[' | '+')
            && matches!(character, '4' | '5')
            && let Some((code, rest)) = text.get(at..).and_then(number)
            && (421..=599).contains(&code)
            && rest.chars().next().is_none_or(|next| {
                matches!(next, ' ' | '-' | ':' | ',' | ')' | '\'' | '"' | '\n' | '\r' | '#')
            })
        {
            return Some(code);
        }
        before = character;
    }
    None
}
