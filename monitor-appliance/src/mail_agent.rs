//! mail_agent.
