//! filing
