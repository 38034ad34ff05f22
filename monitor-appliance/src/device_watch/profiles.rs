//! Which profiles devices are read with, and that a release whose profiles cannot be used is told to the center.

use crate::alarm;
use crate::context::Context;
use crate::profile::{Profiles, edge};
use crate::store::{Store, StoreError};

/// The alarm's word while the release's profiles cannot be used.
const UNUSABLE: &str = "profiles-unusable";

/// The profiles of the running release, else those that this program carries: devices are read either way.
///
/// # Errors
/// [`StoreError`] when the alarm cannot be filed.
pub(super) fn begin(context: &Context, store: &mut Store) -> Result<Profiles, StoreError> {
    let (profiles, origin) = edge::in_use(&context.layout);
    let trouble = match origin {
        edge::Origin::Fallback(error) => Some(format!(
            "the release's device profiles cannot be used, devices are read with those of the program: {error}"
        )),
        edge::Origin::Release | edge::Origin::BuiltIn => None,
    };
    store.change(|change| match &trouble {
        Some(trouble) => alarm::raise(change, context, UNUSABLE, trouble.clone(), context.now()).map(drop),
        None => alarm::end(change, context, UNUSABLE).map(drop),
    })?;
    Ok(profiles)
}
