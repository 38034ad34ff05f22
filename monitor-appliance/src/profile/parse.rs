//! Reading profiles: bundles, files, and mistakes with file and line.

use super::file::{Condition, File, RowCounter};
use super::object::{Number, Object};
use super::wanted::Wanted;
use super::{Profile, Rule};
use crate::device::CounterName;
use std::ops::Range;

/// Begins a file in a bundle, with its name behind.
const MARK: &str = "#= ";
/// Longest file, in octets.
const FILE_OCTETS_MAX: usize = 256 << 10;
/// Most files in a bundle.
const FILES_MAX: usize = 256;
/// Most objects that one profile may want to be read.
const WANTED_MAX: usize = 512;
/// Most columns among them.
const COLUMNS_MAX: usize = 64;
/// Most objects under `answers`: they are asked of devices of every make.
const ANSWERS_MAX: usize = 4;
/// Most rules of one kind in one profile.
const RULES_MAX: usize = 2_000;

/// Why profiles cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A mistake in a file.
    #[error("{file}, line {line}{}: {problem}", field.as_ref().map(|field| format!(", {field}")).unwrap_or_default())]
    Mistake {
        /// The file's name.
        file: String,
        /// The line in it, from 1.
        line: usize,
        /// The key in that line, if it has one.
        field: Option<String>,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// More than profiles can be.
    #[error("{what} is too large: {limit}")]
    TooLarge {
        /// What.
        what: String,
        /// The limit, for a person.
        limit: String,
    },
    /// A bundle without a line that begins a file.
    #[error("{bundle} is no bundle of profiles: it does not begin with a line such as `{MARK}hp.toml`")]
    NoBundle {
        /// The bundle.
        bundle: String,
    },
    /// A file of profiles must be called `NAME.toml`.
    #[error("`{name}` is no name for a profile: small letters, digits and hyphens, with .toml behind")]
    Name {
        /// What it is called.
        name: String,
    },
    /// The same file twice in a bundle.
    #[error("{name} stands twice in the bundle")]
    Twice {
        /// The name.
        name: String,
    },
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// One file of a bundle.
pub(super) struct Piece<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

/// Cuts a bundle into its files.
pub(super) fn split<'a>(bundle: &'a str, called: &str) -> Result<Vec<Piece<'a>>, ProfileError> {
    let no_bundle = || ProfileError::NoBundle { bundle: called.to_owned() };
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let after = rest.strip_prefix(MARK).ok_or_else(no_bundle)?;
        let (name, text) = after.split_once('\n').unwrap_or((after, ""));
        let end = if text.starts_with(MARK) { 0 } else { text.find("\n#= ").map_or(text.len(), |at| at + 1) };
        let name = name.trim();
        if pieces.iter().any(|piece| piece.file == name) {
            return Err(ProfileError::Twice { name: name.to_owned() });
        }
        if pieces.len() == FILES_MAX {
            return Err(ProfileError::TooLarge {
                what: called.to_owned(),
                limit: format!("{FILES_MAX} files"),
            });
        }
        pieces.push(Piece { file: name, text: &text[..end] });
        rest = &text[end..];
    }
    if pieces.is_empty() { Err(no_bundle()) } else { Ok(pieces) }
}

impl Piece<'_> {
    pub(super) fn parse(&self) -> Result<Profile, ProfileError> {
        let name = self.file.strip_suffix(".toml").unwrap_or_default();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
            return Err(ProfileError::Name { name: self.file.chars().take(80).collect() });
        }
        if self.text.len() > FILE_OCTETS_MAX {
            return Err(ProfileError::TooLarge {
                what: self.file.to_owned(),
                limit: format!("{FILE_OCTETS_MAX} octets"),
            });
        }
        let file: File = toml::from_str(self.text)
            .map_err(|error| self.mistake(error.span(), error.message().to_owned()))?;
        self.check(&file)?;
        let wanted = Wanted::of(&file);
        if wanted.scalars.len() + wanted.columns.len() > WANTED_MAX || wanted.columns.len() > COLUMNS_MAX {
            return Err(ProfileError::TooLarge {
                what: self.file.to_owned(),
                limit: format!("{WANTED_MAX} objects, of which {COLUMNS_MAX} columns"),
            });
        }
        let mut rules: Vec<(usize, Rule)> = Vec::new();
        rules
            .extend(file.counter.iter().enumerate().map(|(at, rule)| (rule.span().start, Rule::Counter(at))));
        rules.extend(file.table.iter().enumerate().map(|(at, rule)| (rule.span().start, Rule::Table(at))));
        rules
            .extend(file.records.iter().enumerate().map(|(at, rule)| (rule.span().start, Rule::Records(at))));
        rules.sort_by_key(|(start, _)| *start);
        Ok(Profile {
            name: name.to_owned(),
            text: self.text.to_owned(),
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
            wanted,
            file,
        })
    }

    /// What the shapes alone cannot tell.
    fn check(&self, file: &File) -> Result<(), ProfileError> {
        let whole = || Some(0..0);
        let no = |span: Option<Range<usize>>, problem: &str| Err(self.mistake(span, problem.to_owned()));
        if file.sources.iter().all(|source| source.trim().is_empty()) {
            return no(whole(), "`sources` must say where the facts come from");
        }
        let has_rules = !(file.counter.is_empty() && file.table.is_empty() && file.records.is_empty());
        if file.vendor.as_deref().is_none_or(|vendor| vendor.trim().is_empty())
            && (file.vendor.is_some() || has_rules || file.brands.is_empty() && file.description.is_empty())
        {
            return no(whole(), "`vendor` must name the maker; only a file of brands may do without");
        }
        if file.matches.answers.len() > ANSWERS_MAX {
            return no(self.find("answers"), "at most 4 objects: they are asked of devices of every make");
        }
        let counts = [
            file.counter.len(),
            file.description.len(),
            file.part.len(),
            file.table.len(),
            file.records.len(),
            file.brands.len(),
        ];
        if counts.into_iter().any(|count| count > RULES_MAX) {
            return no(whole(), "at most 2000 rules of a kind");
        }
        for rule in &file.description {
            let description = rule.get_ref();
            self.places(&description.pattern, &["model", "vendor", "firmware", "serial"], rule.span())?;
            if file.vendor.is_none()
                && description.vendor.is_none()
                && !description.pattern.places().any(|place| place == "vendor")
            {
                return no(Some(rule.span()), "in a file without `vendor`, each description names its own");
            }
        }
        let identity = &file.identity;
        for source in
            [&identity.model, &identity.serial, &identity.firmware, &identity.mac].into_iter().flatten()
        {
            if let super::object::TextSource::Object(object) = source
                && let Some(pattern) = &object.pattern
            {
                self.must_have(pattern, "value", None)?;
            }
        }
        for rule in &file.counter {
            let counter = rule.get_ref();
            counter.text.as_ref().map_or(Ok(()), |text| self.must_have(text, "number", Some(rule.span())))?;
            self.conditions(&counter.when, &rule.span())?;
        }
        for rule in &file.table {
            self.table(rule)?;
        }
        for rule in &file.records {
            let records = rule.get_ref();
            let inside = |[from, count]: [usize; 2]| {
                (1..=8).contains(&count) && from.checked_add(count).is_some_and(|end| end <= records.length)
            };
            if !(1..=64).contains(&records.length) || !inside(records.id) || !inside(records.value) {
                return no(
                    Some(rule.span()),
                    "`length` is 1 to 64 octets; `id` and `value` are [first octet, 1 to 8 octets] inside of it",
                );
            }
            if records.counter.is_empty() && records.part.is_empty() {
                return no(
                    Some(rule.span()),
                    "a list of records needs [[records.counter]] or [[records.part]]",
                );
            }
            self.conditions(&records.when, &rule.span())?;
        }
        for part in &file.part {
            self.conditions(&part.when, &(0..0))?;
        }
        for supplies in &file.supplies {
            if let Some(Number::Text(column)) = &supplies.max
                && let Err(problem) = column.parse::<Object>()
            {
                return no(self.find("max"), &problem);
            }
        }
        for rule in &file.service_code {
            let code = rule.get_ref();
            self.must_have(&code.pattern, "code", Some(rule.span()))?;
            if code.shown.as_ref().is_some_and(|shown| !shown.contains("{code}")) {
                return no(Some(rule.span()), "`shown` contains {code}");
            }
        }
        for fragile in &file.fragile {
            if fragile.why.trim().is_empty() {
                return no(self.find("why"), "say why the device has to be handled with care");
            }
        }
        Ok(())
    }

    fn table(&self, rule: &toml::Spanned<super::file::Table>) -> Result<(), ProfileError> {
        let table = rule.get_ref();
        let no = |problem: &str| Err(self.mistake(Some(rule.span()), problem.to_owned()));
        if table.counter.is_empty() && table.each.is_none() {
            return no("a table needs [[table.counter]] or `each`");
        }
        if let Some(each) = &table.each {
            let sample = ["{label}", "{code}", "{row}"].iter().find(|place| each.contains(**place));
            let Some(place) = sample else {
                return no("`each` contains {label}, {code} or {row}, as in \"paper_{label}\"");
            };
            if let Err(error) = CounterName::known(&each.replacen(place, "x", 1)) {
                return no(&error.to_string());
            }
            if *place == "{label}" && table.label.is_none() || *place == "{code}" && table.code.is_none() {
                return no("`each` uses a column that the table does not name");
            }
        }
        let columns = table.code.as_ref().map_or(0, |codes| codes.0.len());
        for RowCounter { name, codes, labels, rows, minus, sum, all, text, .. } in &table.counter {
            let problem = if codes.is_empty() && labels.is_empty() && rows.is_empty() {
                "says neither `codes` nor `labels` nor `rows`"
            } else if !codes.is_empty() && table.code.is_none() {
                "has `codes`, but the table names no column `code`"
            } else if !labels.is_empty() && table.label.is_none() {
                "has `labels`, but the table names no column `label`"
            } else if codes.iter().any(|code| code.0.len() != columns) {
                "has a code with more or fewer numbers than there are columns `code`"
            } else if *all && !sum {
                "has `all` without `sum`"
            } else if minus.iter().any(
                |minus| matches!(minus, Number::Text(row) if super::file::RowIndex::parse(row).is_none()),
            ) {
                "has a `minus` that is neither a code nor a row index in quotes"
            } else {
                if let Some(text) = text {
                    self.must_have(text, "number", Some(rule.span()))?;
                }
                continue;
            };
            return no(&format!("the counter `{name}` of this table {problem}"));
        }
        self.conditions(&table.when, &rule.span())
    }

    fn conditions(&self, when: &[Condition], span: &Range<usize>) -> Result<(), ProfileError> {
        let sound = |condition: &Condition| {
            let count = |asked: &[bool]| asked.iter().filter(|asked| **asked).count();
            let Condition { object, is, not, answers, model, not_model, description, not_description } =
                condition;
            let asks = count(&[is.is_some(), not.is_some(), answers.is_some()]);
            let texts = count(&[model, not_model, description, not_description].map(Option::is_some));
            if object.is_some() { asks == 1 && texts == 0 } else { asks == 0 && texts == 1 }
        };
        if when.iter().all(sound) {
            return Ok(());
        }
        let problem = "a condition is an `object` with one of `is`, `not`, `answers`; or one of `model`, `not-model`, `description`, `not-description`";
        Err(self.mistake(Some(span.clone()), problem.to_owned()))
    }

    fn must_have(
        &self,
        pattern: &super::Pattern,
        place: &str,
        span: Option<Range<usize>>,
    ) -> Result<(), ProfileError> {
        let span = span.or_else(|| self.find(pattern.written()));
        if pattern.places().any(|found| found == place) {
            return self.places(pattern, &[place], span.unwrap_or_default());
        }
        Err(self.mistake(span, format!("the pattern `{}` has no {{{place}}}", pattern.written())))
    }

    fn places(
        &self,
        pattern: &super::Pattern,
        allowed: &[&str],
        span: Range<usize>,
    ) -> Result<(), ProfileError> {
        match pattern.places().find(|place| !allowed.contains(place)) {
            None => Ok(()),
            Some(place) => Err(self.mistake(
                Some(span),
                format!("{{{place}}} means nothing here; there may be {}", allowed.join(", ")),
            )),
        }
    }

    /// Where a word first stands, for a mistake whose place is not known otherwise.
    fn find(&self, word: &str) -> Option<Range<usize>> {
        self.text.find(word).map(|at| at..at)
    }

    fn mistake(&self, span: Option<Range<usize>>, problem: String) -> ProfileError {
        let at = span.map_or(0, |span| span.start).min(self.text.len());
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
        let written = self.text.lines().nth(line - 1).unwrap_or_default();
        let key = written.split('=').next().map(str::trim).filter(|_| written.contains('='));
        let plain = |key: &&str| {
            !key.is_empty()
                && key.len() <= 40
                && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_\"".contains(c))
        };
        ProfileError::Mistake {
            file: self.file.to_owned(),
            line,
            field: key.filter(plain).map(str::to_owned),
            problem,
        }
    }
}
