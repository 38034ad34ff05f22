//! device_watch.
