//! center-manager
