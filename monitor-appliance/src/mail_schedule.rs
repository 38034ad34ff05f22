//! mail_schedule.
