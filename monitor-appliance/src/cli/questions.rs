//! Asking whoever sits at the terminal, and counting what they have to type.

use dialoguer::{Confirm, Input, Password, Select};
use std::cell::Cell;
use std::io::IsTerminal as _;
use zeroize::Zeroizing;

/// Whether somebody can be asked, and how much they typed. Questions go to standard error, so that results stay clean.
#[derive(Debug, Default)]
pub(super) struct Questions {
    possible: bool,
    typed: Cell<u32>,
}

impl Questions {
    /// Asks if a person sits there, unless that is not wanted.
    pub(super) fn new(wanted: bool) -> Self {
        Self { possible: wanted && std::io::stdin().is_terminal(), typed: Cell::new(0) }
    }

    /// Whether anybody can be asked.
    pub(super) fn possible(&self) -> bool {
        self.possible
    }

    /// How many things were typed so far; what was merely confirmed is not counted.
    pub(super) fn typed(&self) -> u32 {
        self.typed.get()
    }

    /// Something was typed elsewhere: a flag, a file.
    pub(super) fn note_typed(&self) {
        self.typed.set(self.typed.get().saturating_add(1));
    }

    /// Asks until the answer is accepted; a wrong one is given back to be corrected, not to be typed again.
    pub(super) fn ask(
        &self,
        prompt: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<String> {
        self.ask_tidied(prompt, str::to_owned, check)
    }

    /// The same; `tidy` makes a wrong answer easier to compare with the paper before it is given back.
    pub(super) fn ask_tidied(
        &self,
        prompt: &str,
        tidy: impl Fn(&str) -> String,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<String> {
        self.note_typed();
        let mut text = String::new();
        loop {
            let input = Input::<String>::new().with_prompt(prompt).with_initial_text(tidy(&text));
            text = input.interact_text()?;
            match check(&text) {
                Ok(()) => return Ok(text),
                Err(error) => eprintln!("{error}"),
            }
        }
    }

    /// The same with an answer that only has to be confirmed.
    pub(super) fn ask_or(
        &self,
        prompt: &str,
        default: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<String> {
        let input = Input::<String>::new().with_prompt(prompt).default(default.to_owned());
        let text = input.validate_with(|text: &String| check(text)).interact_text()?;
        if text != default {
            self.note_typed();
        }
        Ok(text)
    }

    /// Asks for something that may be left empty.
    pub(super) fn ask_more(
        &self,
        prompt: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<Option<String>> {
        let input = Input::<String>::new().with_prompt(prompt).allow_empty(true);
        let text = input
            .validate_with(|text: &String| if text.is_empty() { Ok(()) } else { check(text) })
            .interact_text()?;
        if text.is_empty() {
            return Ok(None);
        }
        self.note_typed();
        Ok(Some(text))
    }

    /// Asks without showing what is typed.
    pub(super) fn ask_secret(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        let text = Zeroizing::new(Password::new().with_prompt(prompt).interact()?);
        self.note_typed();
        Ok(text)
    }

    /// One of several; the first is the default.
    pub(super) fn choose<T: Copy>(&self, prompt: &str, choices: &[(T, &str)]) -> anyhow::Result<Option<T>> {
        let names = choices.iter().map(|(_, name)| *name);
        let choice = Select::new().with_prompt(prompt).items(names).default(0).interact()?;
        Ok(choices.get(choice).map(|(choice, _)| *choice))
    }

    /// Yes or no.
    pub(super) fn confirm(&self, prompt: &str, default: bool) -> anyhow::Result<bool> {
        Ok(Confirm::new().with_prompt(prompt).default(default).interact()?)
    }
}
