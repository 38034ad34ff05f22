//! filed
