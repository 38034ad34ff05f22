//! version_report.
