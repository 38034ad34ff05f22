use mailfmt::version_report::{ModuleLine, VersionReportError};
use mailfmt::{Limits, ModuleName, ModuleVersion, SoftwareVersion, VersionReport};
use proptest::prelude::*;

/// The report of the published description, to the letter.
const EXAMPLE: &str = "\
Software Version    1.0.00-1
ROM Version         1.5.08
Modules
abcd.exe            1.0.00    2002/01/01
bbb.lib             1.3.05    2002/11/29
main.cgi            1.0.00    2002/01/01
refresh             1.0.00    2002/01/01
agent_sweeper       2.0.00    2002/08/07
time_shell.sh       1.1.01    2002/11/22
";

fn parse(text: &str) -> Result<VersionReport, VersionReportError> {
    VersionReport::parse(text, &Limits::default())
}

#[test]
fn the_published_example_is_written_and_read_back_exactly() {
    let report = parse(EXAMPLE).unwrap();
    assert_eq!(report.software.as_str(), "1.0.00-1");
    assert_eq!(report.rom.as_str(), "1.5.08");
    assert_eq!(report.modules.len(), 6);
    assert_eq!(report.write(), EXAMPLE);
}

#[test]
fn carriage_returns_and_other_gaps_do_no_harm() {
    let crlf = EXAMPLE.replace('\n', "\r\n").replace("    2002", " \t 2002");
    assert_eq!(parse(&crlf).unwrap(), parse(EXAMPLE).unwrap());
}

#[test]
fn a_wrong_line_is_named_by_its_number() {
    let wrong = |from: &str, to: &str| parse(&EXAMPLE.replace(from, to)).unwrap_err().to_string();
    assert!(wrong("Software", "Hardware").contains("line 1"));
    assert!(wrong("1.5.08", "new").contains("line 2"));
    assert!(wrong("Modules", "Modules of the box").contains("line 3"));
    assert!(wrong("2002/11/29", "2002/13/29").contains("line 5"));
    assert!(wrong("2002/11/29", "02/11/29").contains("line 5"));
    assert!(wrong("main.cgi ", "../main ").contains("line 6"));
    assert!(wrong("refresh ", "main.cgi ").contains("line 7"));
    assert!(wrong("time_shell.sh       1.1.01    ", "time_shell.sh 1.1.01").contains("line 9"));
}

#[test]
fn a_report_beyond_the_limits_is_refused() {
    let small = Limits { version_report_octets: 100, ..Limits::default() };
    assert!(matches!(VersionReport::parse(EXAMPLE, &small), Err(VersionReportError::TooLong { .. })));
    let few = Limits { modules: 5, ..Limits::default() };
    assert!(matches!(VersionReport::parse(EXAMPLE, &few), Err(VersionReportError::TooMany { limit: 5 })));
}

fn any_report() -> impl Strategy<Value = VersionReport> {
    let line = (
        "[a-zA-Z0-9_][a-zA-Z0-9._+-]{0,40}",
        "[0-9]{1,3}(\\.[0-9]{1,2}){0,3}(-[0-9a-z.]{1,8})?",
        1i16..9999,
        1i8..=12,
        1i8..=28,
    )
        .prop_map(|(name, version, year, month, day)| ModuleLine {
            name: ModuleName::new(&name).unwrap(),
            version: ModuleVersion::new(&version).unwrap(),
            date: jiff::civil::date(year, month, day),
        });
    ("[0-9]{1,3}\\.[0-9]{1,2}\\.[0-9]{1,2}(-[0-9A-Za-z]{1,6})?", proptest::collection::vec(line, 0..30))
        .prop_map(|(software, mut modules)| {
            modules.sort_by(|a, b| a.name.cmp(&b.name));
            modules.dedup_by(|a, b| a.name == b.name);
            VersionReport {
                software: SoftwareVersion::new(&software).unwrap(),
                rom: ModuleVersion::new("1.5.08").unwrap(),
                modules,
            }
        })
}

proptest! {
    #[test]
    fn any_report_is_read_back_as_it_was(report in any_report()) {
        prop_assert_eq!(parse(&report.write()).unwrap(), report);
    }

    #[test]
    fn whatever_is_accepted_is_stable(text in "(Software Version +1\\.0\\.0\nROM Version +1\nModules\n)?[ -~\n]{0,200}") {
        if let Ok(report) = parse(&text) {
            let written = report.write();
            prop_assert_eq!(parse(&written).unwrap().write(), written);
        }
    }
}
