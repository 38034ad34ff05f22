//! mailfmt
