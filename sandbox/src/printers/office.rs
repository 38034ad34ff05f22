//! Printers by name, so that a demo can speak of "the printer on the second floor".

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::printer::Printer;

/// The printers of a simulated site. Cheap to share; printers may come and go while it is used.
#[derive(Default)]
pub struct Office {
    printers: RwLock<BTreeMap<String, Arc<Printer>>>,
}

/// Why an office cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfficeError {
    /// There is no printer of that name.
    #[error("no printer is named {0:?}")]
    Unknown(String),
    /// The name is taken.
    #[error("a printer is named {0:?} already")]
    Taken(String),
}

impl Office {
    /// An office without printers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a printer in under `name`.
    ///
    /// # Errors
    /// [`OfficeError::Taken`].
    pub fn add(&self, name: &str, printer: Printer) -> Result<Arc<Printer>, OfficeError> {
        let mut printers = self.printers.write().unwrap_or_else(PoisonError::into_inner);
        if printers.contains_key(name) {
            return Err(OfficeError::Taken(name.to_owned()));
        }
        let printer = Arc::new(printer);
        printers.insert(name.to_owned(), Arc::clone(&printer));
        Ok(printer)
    }

    /// The printer named `name`.
    ///
    /// # Errors
    /// [`OfficeError::Unknown`].
    pub fn printer(&self, name: &str) -> Result<Arc<Printer>, OfficeError> {
        let printers = self.printers.read().unwrap_or_else(PoisonError::into_inner);
        printers.get(name).cloned().ok_or_else(|| OfficeError::Unknown(name.to_owned()))
    }

    /// All printers with their names, in the order of the names.
    pub fn all(&self) -> Vec<(String, Arc<Printer>)> {
        let printers = self.printers.read().unwrap_or_else(PoisonError::into_inner);
        printers.iter().map(|(name, printer)| (name.clone(), Arc::clone(printer))).collect()
    }
}
