use super::*;
use crate::release::write_durably;
use crate::supervisor::processes::marked;
use std::path::Path;

/// Runs `text` as a script with one second of time, in a folder of its own.
fn run(text: &str) -> (ScriptEnd, String) {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), text)
}

fn run_in(folder: &Path, text: &str) -> (ScriptEnd, String) {
    let file = folder.join("install.sh");
    write_durably(&file, text.as_bytes(), 0o755).unwrap();
    let (end, output) =
        run_script(&Script::in_folder(folder), Keeper::Here, &mut |_| Some(Answer::no("nobody is here")));
    assert_eq!(marked(PACKAGE_MARK, folder), [0u32; 0], "something of the script still runs");
    (end, output)
}

#[test]
fn a_script_sees_only_the_documented_variables_and_an_empty_input() {
    let (end, output) =
        run("#!/bin/sh\nread line && echo got input\nenv | sort | cut -d= -f1 | tr '\\n' ' '\n");
    assert_eq!(end, ScriptEnd::Succeeded);
    for name in [
        "CURRENT_DIR",
        "FROM_VERSION",
        "PACKAGE_DIR",
        "PATH",
        "RELEASE_DIR",
        "STATE_DIR",
        "TMPDIR",
        "TO_VERSION",
    ] {
        assert!(output.contains(name), "{name} is missing in {output}");
    }
    for name in ["HOME", "CARGO", "got input"] {
        assert!(!output.contains(name), "{name} is in {output}");
    }
}

#[test]
fn the_exit_code_decides() {
    assert_eq!(run("#!/bin/sh\nexit 0\n").0, ScriptEnd::Succeeded);
    assert_eq!(run("#!/bin/sh\nexit 75\n").0, ScriptEnd::TryLater);
    assert_eq!(run("#!/bin/sh\nexit 3\n").0, ScriptEnd::Failed { code: 3 });
    assert_eq!(run("#!/bin/sh\nkill -9 $$\n").0, ScriptEnd::Killed { signal: 9 });
}

#[test]
fn a_script_without_a_first_line_is_a_shell_script() {
    assert_eq!(run("echo hello; exit 4\n"), (ScriptEnd::Failed { code: 4 }, "hello\n".to_owned()));
}

#[test]
fn a_script_with_an_interpreter_that_is_not_there_is_not_started() {
    assert!(matches!(run("#!/no/such/interpreter\n").0, ScriptEnd::NotStarted { .. }));
}

#[test]
fn a_script_that_hangs_is_killed_with_its_children() {
    let begun = Instant::now();
    let (end, output) = run("#!/bin/sh\necho begun\nsleep 1000 &\nsleep 1000\n");
    assert_eq!(end, ScriptEnd::TimedOut { limit: Duration::from_secs(1) });
    assert_eq!(output, "begun\n");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_child_left_in_the_background_ends_with_the_script() {
    let begun = Instant::now();
    let (end, output) = run("#!/bin/sh\nsetsid sleep 1000 &\necho done\n");
    assert_eq!((end, output.as_str()), (ScriptEnd::Succeeded, "done\n"));
    assert!(begun.elapsed() < Duration::from_secs(8), "its open pipe was waited for");
}

#[test]
fn of_a_megabyte_of_output_the_end_is_kept() {
    let (end, output) = run("#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' x\necho the end\n");
    assert_eq!(end, ScriptEnd::Succeeded);
    assert_eq!(output.len(), OUTPUT_KEPT);
    assert!(output.ends_with("xthe end\n"));
}

#[test]
fn output_that_is_no_text_stays_within_the_bound() {
    let text = output::text_of(&[0xff; OUTPUT_KEPT]);
    assert!(text.len() <= OUTPUT_KEPT && text.chars().all(|sign| sign == char::REPLACEMENT_CHARACTER));
}

#[test]
fn what_a_killed_run_left_behind_is_ended_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut left =
        spawn_group(Command::new("/bin/sleep").arg("1000").env_clear().env(PACKAGE_MARK, folder.path()))
            .unwrap();
    assert_eq!(run_in(folder.path(), "#!/bin/sh\n").0, ScriptEnd::Succeeded);
    assert!(left.wait().unwrap().signal().is_some());
}

#[test]
fn a_script_asks_by_a_helper_and_gets_exit_code_and_text() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::in_folder(folder.path());
    let text = "appliance-ctl busy watch; echo $?; appliance-ctl rubbish; echo $?; env -i $PACKAGE_DIR/bin/appliance-ctl ask reboot; echo $?";
    write_durably(&script.file, text.as_bytes(), 0o755).unwrap();
    let mut asked = Vec::new();
    let (end, output) = run_script(&script, Keeper::Here, &mut |request| {
        asked.push(request.ask.clone());
        Some(Answer::no("not at all"))
    });
    assert_eq!(end, ScriptEnd::Succeeded);
    let busy = Ask::Busy(mailfmt::ModuleName::new("watch").unwrap());
    assert_eq!(asked, [busy, Ask::Reboot]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(
        (lines[0], lines[1], lines[3], lines[4], lines[5]),
        ("not at all", "1", "2", "not at all", "1")
    );
    assert!(lines[2].starts_with("usage: appliance-ctl"), "{output}");
}

#[test]
fn temporary_files_go_with_the_script() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), "mktemp && echo x > $TMPDIR/file\n").0, ScriptEnd::Succeeded);
    assert!(!folder.path().join("tmp").exists());
}
