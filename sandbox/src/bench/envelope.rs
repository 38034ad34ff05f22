//! `envelope`: sealing and opening a version report on one core.

use super::{Figure, cpu_time};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{Credential, Direction};
use mailfmt::envelope::{Addressee, Header, open, seal};
use mailfmt::{AgentId, CenterId, Limits, Message, MessageId};
use std::io::{Read as _, Write as _};
use std::time::Duration;

const ENVELOPES: u32 = 5_000;

/// Measures; beside it, deflating and inflating the same payload and nothing else, the floor below any such format.
///
/// # Errors
/// When the report cannot be sealed.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let mut random = sandbox::random();
    let (agent, center) = (AgentId::new("AGENT0000001")?, CenterId::new("CENTER")?);
    let key = Credential::generate(&mut random).channel(Direction::ToCenter, &agent, &center);
    let message = super::version_report(&mut random)?;
    let payload = message.write();
    let limits = Limits::default();

    let mut sealed = Vec::new();
    let sealing = per_second(|| {
        let header = Header::new(
            &message,
            agent.clone().into(),
            MessageId::generate(&mut random),
            now,
            now + SignedDuration::from_hours(24),
        );
        sealed = seal(&header, &message, &[Addressee { key: &key, sequence: 1 }], &mut random)?;
        Ok(())
    })?;
    let opening = per_second(|| {
        let opened = open(&sealed, &key, &limits, now)?;
        anyhow::ensure!(matches!(opened.message()?, Message::Report(_)), "another message came out");
        Ok(())
    })?;

    let mut deflated = Vec::new();
    let deflating = per_second(|| {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&payload)?;
        deflated = encoder.finish()?;
        Ok(())
    })?;
    let inflating = per_second(|| {
        let mut inflated = Vec::new();
        flate2::read::DeflateDecoder::new(deflated.as_slice()).read_to_end(&mut inflated)?;
        Ok(())
    })?;
    let size = payload.len();
    let figure = |figure, value, against| Figure {
        bench: "envelope",
        figure,
        value,
        unit: "per s, one core",
        against,
    };
    Ok(vec![
        figure("seal_per_s", sealing, format!("deflate -6 alone of the {size} octets: {deflating:.0} per s")),
        figure("open_per_s", opening, format!("inflate alone: {inflating:.0} per s")),
    ])
}

/// How often `work` goes into one second of CPU time.
fn per_second(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    for _ in 0..ENVELOPES / 10 {
        work()?;
    }
    let start = cpu_time();
    for _ in 0..ENVELOPES {
        work()?;
    }
    let spent: Duration = cpu_time() - start;
    Ok(f64::from(ENVELOPES) / spent.as_secs_f64())
}
