//! Rollout rows.
