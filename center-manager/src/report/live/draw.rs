//! A rollout at one moment as lines of text of a given width, and as what a terminal has to be sent to show them in place.

use super::{Live, MailUse, Recent};
use crate::report::WaveRow;
use console::{measure_text_width, truncate_str};
use std::fmt::Write as _;

/// Narrower terminals get lines of this width, and break them.
const NARROWEST: usize = 40;

/// What stands for each part of a wave in its bar, in the order of [`WaveRow::parts`].
const MARKS: [char; 5] = ['#', '>', 'x', '?', '.'];

/// The picture: lines of at most `width` columns, at most `height` of them. What does not fit is left out, events first, then
/// waves far from the newest.
#[must_use]
pub fn lines(live: &Live, width: usize, height: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let (head, foot) = (head(live), foot(live, width));
    let room = height.saturating_sub(head.len() + foot.len() + 2).max(1);
    let mut lines = head;
    lines.extend(waves(live, width, room));
    lines.push("# updated  > under way  x failed  ? silent  . not yet".to_owned());
    lines.push(String::new());
    lines.extend(foot);
    events(live, height, &mut lines);
    lines.truncate(height.max(1));
    lines.iter().map(|line| truncate_str(line, width, "~").trim_end().to_owned()).collect()
}

/// How it stands in one line, for a log.
#[must_use]
pub fn in_one_line(live: &Live) -> String {
    let mut line = standing(live);
    if live.waves.len() > 1 {
        let out = live.waves.iter().filter(|wave| wave.released).count();
        let _ = write!(line, "; wave {out} of {}", live.waves.len());
    }
    let _ = write!(line, "; {}", live.state);
    if !live.reason.is_empty() {
        let _ = write!(line, ": {}", live.reason);
    }
    line
}

fn standing(live: &Live) -> String {
    let counts = &live.counts;
    format!(
        "{} updated, {} failed, {} open, {} in all",
        counts.updated, counts.failed, counts.pending, counts.total
    )
}

fn head(live: &Live) -> Vec<String> {
    let second = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut state = live.state.to_owned();
    if !live.reason.is_empty() {
        let _ = write!(state, ": {}", live.reason);
    }
    vec![
        format!("rollout {} to {}, {} UTC: {state}", live.rollout, live.update_to, second(live.at)),
        standing(live),
        String::new(),
    ]
}

fn waves(live: &Live, width: usize, room: usize) -> Vec<String> {
    let digits = live.waves.len().to_string().len();
    let shown = window(&live.waves, room);
    let most = live.waves.iter().map(|wave| wave.appliances.to_string().len()).max().unwrap_or(1);
    let bar = width.saturating_sub(digits + 2 * most + 27).clamp(10, 60);
    let mut lines = Vec::new();
    for wave in shown {
        let WaveRow { wave: number, appliances, updated, .. } = wave;
        let cells = cells(wave.parts(), bar);
        let picture: String =
            MARKS.iter().zip(cells).flat_map(|(mark, count)| std::iter::repeat_n(*mark, count)).collect();
        let state = wave.state();
        lines.push(format!(
            "wave {number:digits$} [{picture:bar$}] {updated:most$} of {appliances:most$} {state}"
        ));
    }
    let hidden = live.waves.len() - lines.len();
    if hidden > 0 {
        lines.push(format!("     ({hidden} further waves)"));
    }
    lines
}

/// So many waves around the newest that is out.
fn window(waves: &[WaveRow], room: usize) -> &[WaveRow] {
    if waves.len() <= room {
        return waves;
    }
    // One line says how many are hidden.
    let room = room.saturating_sub(1).max(1);
    let newest = waves.iter().filter(|wave| wave.released).count().saturating_sub(1);
    let first = newest.saturating_sub(room / 2).min(waves.len() - room.min(waves.len()));
    waves.get(first..(first + room).min(waves.len())).unwrap_or(waves)
}

/// How many of `width` cells each part gets. What is there at all gets one, as far as there are so many.
fn cells(parts: [u32; 5], width: usize) -> [usize; 5] {
    let total: u64 = parts.iter().map(|part| u64::from(*part)).sum();
    if total == 0 {
        return [0; 5];
    }
    let share = |part: u32| {
        let cells = u64::from(part) * width as u64 / total;
        usize::try_from(cells).unwrap_or(width).max(usize::from(part > 0))
    };
    let mut cells = parts.map(share);
    // Rounding left some over, or gave too many away: the largest part can bear it.
    loop {
        let sum: usize = cells.iter().sum();
        let Some(largest) = cells.iter_mut().max() else { return cells };
        if sum == width {
            return cells;
        }
        if sum < width {
            *largest += width - sum;
        } else {
            *largest = largest.saturating_sub(1);
        }
    }
}

fn foot(live: &Live, width: usize) -> Vec<String> {
    let (mail, update, errors) = (&live.rungs.mail, &live.rungs.update, &live.errors);
    let mut lines = Vec::new();
    let mail = [
        (mail.planned, "planned"),
        (mail.queued, "queued"),
        (mail.accepted, "handed in"),
        (mail.delayed, "delayed"),
        (mail.bounced, "came back"),
        (mail.answered, "answered"),
    ];
    lines.extend(wrapped("mail", &there(&mail), width));
    let update = [
        (update.planned, "planned"),
        (update.ordered, "ordered"),
        (update.waiting, "waiting"),
        (update.installed, "say done"),
        (update.refused, "refused"),
        (update.undone, "went back"),
        (update.verified, "verified"),
    ];
    lines.extend(wrapped("update", &there(&update), width));
    let mut line = format!("{} of {}, {}", errors.found, errors.of, limit(errors.limit));
    if live.waves.len() > 1 {
        let _ = write!(line, "; in the newest wave {}, {}", errors.newest_found, limit(errors.newest_limit));
    }
    if errors.forgiven > 0 {
        let _ = write!(line, "; {} seen before", errors.forgiven);
    }
    lines.extend(wrapped("errors", &line, width));
    lines.extend(wrapped("next wave", &live.next_wave.words, width));
    lines.extend(live.next_wave.next.as_ref().map(|next| command(next)));
    lines.extend(live.mail.iter().flat_map(|mail| wrapped("sending", &mail_use(mail), width)));
    if live.daemon_late {
        lines.extend(wrapped("note", "the daemon does not seem to run; it sends and reads the mail", width));
        lines.push(command("center-manager serve"));
    }
    lines
}

/// How far the texts behind the names of lines are set in.
const INDENT: usize = 11;

/// Those that there are.
fn there(numbers: &[(u32, &str)]) -> String {
    let there = numbers.iter().filter(|(number, _)| *number > 0);
    there.map(|(number, what)| format!("{number} {what}")).collect::<Vec<_>>().join(", ")
}

/// A text behind the name of its line, broken between words where it is too long.
fn wrapped(name: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![format!("{name:INDENT$}")];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let used = measure_text_width(line);
        if used > INDENT && used + 1 + measure_text_width(word) > width {
            lines.push(format!("{:INDENT$}{word}", ""));
        } else {
            line.push_str(if used > INDENT { " " } else { "" });
            line.push_str(word);
        }
    }
    lines
}

/// A command is never broken, so that it can be copied.
fn command(command: &str) -> String {
    format!("{:INDENT$}$ {command}", "")
}

/// A threshold that nothing reaches is none.
fn limit(limit: u32) -> String {
    if limit == u32::MAX { "no number stops it".to_owned() } else { format!("{limit} stop it") }
}

fn mail_use(mail: &MailUse) -> String {
    let MailUse { account, what, span_secs, used, most } = mail;
    let span = match span_secs {
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        86_400 => "24 hours".to_owned(),
        secs => format!("{secs} s"),
    };
    format!("{account}: {used} of {most} {what} in the last {span}")
}

/// As many events as there is room for, with the command behind each.
fn events(live: &Live, height: usize, lines: &mut Vec<String>) {
    let heading = [String::new(), "last events (UTC)".to_owned()];
    if live.recent.is_empty() || lines.len() + heading.len() >= height {
        return;
    }
    let mut room = height - lines.len() - heading.len();
    let mut shown = Vec::new();
    for Recent { at, agent, what, detail, next } in &live.recent {
        let colon = if detail.is_empty() { "" } else { ": " };
        let mut block = vec![format!("{} {agent} {what}{colon}{detail}", at.strftime("%H:%M:%S"))];
        block.extend(next.as_ref().map(|next| format!("         $ {next}")));
        if block.len() > room {
            break;
        }
        room -= block.len();
        shown.extend(block);
    }
    if !shown.is_empty() {
        lines.extend(heading.into_iter().chain(shown));
    }
}

/// What a terminal is sent to show `lines` in the place of the `drawn` lines before: up, each line anew, the rest wiped. Only
/// three sequences that every terminal since the VT100 knows; nothing is hidden or kept, so it may end at any moment.
#[must_use]
pub fn frame(drawn: usize, lines: &[String]) -> String {
    let mut text = if drawn > 0 { format!("\r\u{1b}[{drawn}A") } else { String::new() };
    for line in lines {
        text.push_str(line);
        text.push_str("\u{1b}[K\r\n");
    }
    text.push_str("\u{1b}[J");
    text
}

#[cfg(test)]
mod tests;
