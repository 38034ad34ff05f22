//! The sheet of paper that goes to the site: the code in groups, the center's address, the steps.

use crate::report::minute;
use askama::Template;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::trust::RootFingerprint;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

/// Everything that stands on one sheet.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// The code.
    pub code: &'a ProvisionalCode,
    /// For whom.
    pub customer: &'a str,
    /// The center's mail address.
    pub address: &'a str,
    /// How many appliances it lets in.
    pub uses: u32,
    /// After this it lets nobody in.
    pub expires: Timestamp,
    /// Who issued it.
    pub by: &'a str,
    /// The appliance that the box takes over.
    pub replaces: Option<&'a AgentId>,
    /// The newest root, as the box shows it when it is enrolled.
    pub fingerprint: Option<RootFingerprint>,
}

#[derive(Template)]
#[template(path = "enrolment.html")]
struct Page<'a> {
    sheet: &'a Sheet<'a>,
    groups: Vec<&'a str>,
    id: String,
    expires: String,
    steps: Vec<String>,
    notes: Vec<String>,
    /// SVG, made here from octets that we know.
    qr: String,
}

impl Sheet<'_> {
    /// One page of HTML for A4 or Letter: no outside file, script or font; all values are escaped, and a content security
    /// policy forbids anything to be loaded. Secret.
    #[must_use]
    pub fn html(&self) -> Zeroizing<String> {
        let code = self.code.expose();
        let page = Page {
            sheet: self,
            groups: code.split('-').collect(),
            id: self.code.id().to_string(),
            expires: minute(self.expires),
            steps: self.steps(),
            notes: self.notes(),
            qr: self.qr(&code),
        };
        Zeroizing::new(page.render().expect("writing into memory does not fail"))
    }

    /// The same as plain text, at most 78 columns and 40 lines. Secret.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let code = self.code.expose();
        let mut text = Zeroizing::new(format!(
            "ENROLMENT OF A DEVICE MONITOR\n\nCustomer          {}\nCode              {}\nCenter's address  {}\n\
             Lets in           {}\nValid until       {} UTC\nIssued by         {}\nNumber            {}\n{}\n",
            crate::words::plain(self.customer),
            code.as_str(),
            self.address,
            self.lets_in(),
            minute(self.expires),
            crate::words::plain(self.by),
            self.code.id(),
            self.fingerprint.map(|roots| format!("Roots             {roots}\n")).unwrap_or_default(),
        ));
        for (nth, step) in self.steps().iter().enumerate() {
            text.push_str(&wrapped(&format!("{}. ", nth.saturating_add(1)), step));
        }
        text.push('\n');
        for note in self.notes() {
            text.push_str(&wrapped("", &note));
        }
        text
    }

    fn lets_in(&self) -> String {
        match (self.uses, self.replaces) {
            (_, Some(agent)) => format!("the successor of {agent}"),
            (1, None) => "one monitor, with all devices that it finds".to_owned(),
            (uses, None) => format!("{uses} monitors"),
        }
    }

    fn steps(&self) -> Vec<String> {
        let then = match self.uses {
            1 => {
                "It finds the devices of the network, shows them and registers them all. Wait until it says \"registered\"."
            }
            _ => "It registers itself. Wait until it says \"registered\"; then go on with the next one.",
        };
        let compare = self.fingerprint.map(|roots| {
            format!(
                "Compare: the monitor shows the roots {roots}, as on this sheet. If it shows others, pull its plug and call \
                 the center: somebody else has answered."
            )
        });
        let mut steps = vec![
            "Connect the monitor to power and to the customer's network.".to_owned(),
            "On the monitor, type: monitor-appliance enrol".to_owned(),
            format!(
                "Type the code above and the center's address, {}. Capital or small letters, spaces and hyphens make \
                     no difference; a typing error is found at once, with its group.",
                self.address
            ),
            "Type the mail account that the customer has set up for the monitor. It is tried at once."
                .to_owned(),
            then.to_owned(),
        ];
        steps.extend(compare);
        steps.push("Destroy this sheet.".to_owned());
        steps
    }

    fn notes(&self) -> Vec<String> {
        vec![
            "No answer after ten minutes? Leave the monitor on: it tries again by itself and says what it waits for. \
             If the code has expired, nothing is lost: ask for a new one and begin again."
                .to_owned(),
            "Whoever has the code can enrol a monitor in the customer's name. Never send it by mail. If the sheet is lost, call \
             the center: it revokes the code."
                .to_owned(),
        ]
    }

    /// For a telephone or a hand scanner: the code and the center's address, a line each.
    fn qr(&self, code: &str) -> String {
        let content = Zeroizing::new(format!("{code}\n{}", self.address));
        let qr = QrCode::with_error_correction_level(content.as_bytes(), EcLevel::M)
            .expect("a code and a mail address are at most 290 octets; a QR code holds 2331");
        let image = qr.render::<svg::Color<'_>>().min_dimensions(160, 160).build();
        // The declaration belongs to a file of its own, not into a page.
        image.find("<svg").and_then(|begin| image.get(begin..)).unwrap_or_default().to_owned()
    }
}

/// A paragraph of at most 78 columns, hanging behind `mark`.
fn wrapped(mark: &str, paragraph: &str) -> String {
    const COLUMNS: usize = 78;
    let indent = " ".repeat(mark.chars().count());
    let mut text = mark.to_owned();
    let mut column = mark.chars().count();
    let begin = column;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if column > begin && column.saturating_add(length).saturating_add(1) > COLUMNS {
            text.push('\n');
            text.push_str(&indent);
            column = begin;
        } else if column > begin {
            text.push(' ');
            column = column.saturating_add(1);
        }
        text.push_str(word);
        column = column.saturating_add(length);
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{agent, now};

    fn code() -> ProvisionalCode {
        ProvisionalCode::generate(&mut |buffer: &mut [u8]| buffer.fill(0x5a))
    }

    fn sheet(code: &ProvisionalCode) -> Sheet<'_> {
        Sheet {
            code,
            customer: "<b>Bbb & Sons</b>",
            address: "center@center.example",
            uses: 1,
            expires: now(),
            by: "kim",
            replaces: None,
            fingerprint: Some("0123-4567-89ab-cdef-0123".parse().unwrap()),
        }
    }

    #[test]
    fn the_page_shows_every_group_loads_nothing_and_escapes_what_it_was_told() {
        let code = code();
        let page = sheet(&code).html();
        for group in code.expose().split('-') {
            assert!(page.contains(group), "{group}");
        }
        assert!(
            page.contains("center@center.example")
                && page.contains("<svg")
                && page.contains(&code.id().to_string())
        );
        assert!(!page.contains("<b>Bbb"), "a customer's name is text");
        for outside in ["http://", "https://", "src=", "<script", "url("] {
            let found = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn the_text_fits_one_page_and_says_the_same() {
        let code = code();
        let text = sheet(&code).text();
        assert!(
            text.contains(code.expose().as_str()) && text.contains("monitor-appliance enrol"),
            "{}",
            text.as_str()
        );
        assert!(
            text.lines().count() <= 40 && text.lines().all(|line| line.chars().count() <= 78),
            "{}",
            text.as_str()
        );
        assert!(!format!("{:?}", sheet(&code)).contains(&code.expose()[..4]), "not in what is printed of it");
    }

    #[test]
    fn the_sheet_shows_the_roots_that_the_box_must_show() {
        let code = code();
        let sheet = sheet(&code);
        for text in [sheet.text(), sheet.html()] {
            assert!(text.matches("0123-4567-89ab-cdef-0123").count() == 2, "{}", text.as_str());
        }
        let without = Sheet { fingerprint: None, ..sheet };
        assert!(!without.text().contains("Roots") && !without.html().contains("Roots"));
    }

    #[test]
    fn a_sheet_for_a_successor_names_whom_it_replaces() {
        let (code, old) = (code(), agent(3));
        let sheet = Sheet { replaces: Some(&old), ..sheet(&code) };
        assert!(sheet.text().contains("AGENT0000003") && sheet.html().contains("AGENT0000003"));
    }
}
