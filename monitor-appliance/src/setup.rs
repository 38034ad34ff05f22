//! setup.
