//! Install scripts that do harm, by mistake or on purpose: what each must lead to. The real `update-install` runs them
//! behind its real fences; every bound is small here, so that a fence that does not hold costs little.

use crate::site::{NEW, OLD, Site, resident_module, until};
use mailfmt::message::report::UpdateOutcome;
use monitor_appliance::store::ScriptWish;
use monitor_appliance::supervisor::processes::running_file;
use monitor_appliance::update::{OUTPUT_KEPT, Turn, UpdateState, restarted};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bounds of a site whose scripts are not trusted with much.
const SMALL: &str = "processes = 32\nmemory_octets = 67_108_864\ndisk_octets = 8_388_608\nfiles = 200\n";

/// A site with these lines in its settings under `[script]`.
fn site(settings: &str) -> Site {
    let site = Site::new();
    let file = site.root().join("appliance.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[script]\n{SMALL}{settings}\n")).unwrap();
    site
}

/// Orders a package with the script `text`, which may take `secs` seconds.
fn ordered(site: &Site, text: &str, secs: u32) -> i64 {
    let mut draft = site.draft();
    draft.script = format!("#!/bin/sh\n{text}\n").into_bytes();
    draft.script_time_limit_secs = secs;
    site.order(&site.signed(&draft))
}

fn installer(site: &Site, order: i64) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_update-install"));
    command.arg("--root").arg(site.root()).args(["--log", "warn", "--order", &order.to_string()]);
    command.stdin(Stdio::null());
    command
}

/// Runs `text` as the script of an update by the real program. Nothing that it started may be left.
fn run(site: &Site, text: &str, secs: u32) -> UpdateState {
    let order = ordered(site, text, secs);
    assert!(installer(site, order).status().unwrap().success());
    site.state(order)
}

/// The update was undone before anything of it ran, for this reason, and the running release is whole.
fn undone(site: &Site, text: &str, secs: u32, reason: &str) -> String {
    let state = run(site, text, secs);
    let found = match &state {
        UpdateState::Undone { reason } => reason,
        other => panic!("{other:?}, {:?}", output(site)),
    };
    assert!(found.contains(reason), "{found}; {}", output(site));
    assert_eq!(site.running(), OLD);
    let result = site.result();
    assert_eq!(result.outcome, UpdateOutcome::Undone { reason: found.clone() });
    result.output
}

/// The script succeeded: the new release may be swapped in, and is what was signed.
fn ready(site: &Site, text: &str) -> String {
    let state = run(site, text, 20);
    assert!(matches!(state, UpdateState::Checked { .. }), "{state:?}, {}", output(site));
    assert_eq!(site.running(), OLD);
    site.releases().check(NEW).unwrap();
    output(site)
}

fn output(site: &Site) -> String {
    site.store().update_orders_newest(1).unwrap().remove(0).output
}

/// A copy of `sleep` at a place of its own, so that a process that runs it can be told from all others.
fn marked_sleep(site: &Site) -> PathBuf {
    let program = site.root().join("sleep-of-this-test");
    std::fs::copy("/bin/sleep", &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn assert_nothing_runs(program: &Path) {
    assert_eq!(running_file(program), [0u32; 0], "something of the script still runs");
}

/// Whether all fences stood while the site's script ran: not every machine lets us make them, and then the tests say
/// what they leave out.
fn all_fences_stand(site: &Site) -> bool {
    let missing = output(site).contains("[fences: ");
    if missing {
        println!("not all fences stand on this machine: {}", output(site));
    }
    !missing
}

/// The same before a script that would do real harm without them.
fn fences_can_stand() -> bool {
    let site = site("");
    ready(&site, "exit 0");
    all_fences_stand(&site)
}

#[test]
fn a_script_that_hangs_is_ended_in_its_time_and_undone() {
    let site = site("");
    let sleep = marked_sleep(&site);
    let begun = Instant::now();
    let output = undone(
        &site,
        "trap '' TERM INT HUP\necho begun\n\"$STATE_DIR/sleep-of-this-test\" 1000",
        1,
        "the install script ran longer than its 1 s and was killed",
    );
    assert!(output.starts_with("begun\n"), "{output}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_nothing_runs(&sleep);
}

#[test]
fn a_fork_bomb_is_ended_at_its_bound_and_undone() {
    let site = site("");
    let sleep = marked_sleep(&site);
    // Bounded by itself too: 400 processes at the very most.
    let bomb = "split() { [ \"$1\" -gt 0 ] || exec \"$STATE_DIR/sleep-of-this-test\" 30; split $(($1 - 1)) & split $(($1 - 1)) & wait; }\nsplit 7";
    undone(&site, bomb, 20, "the install script was killed: more than 32 processes");
    assert_nothing_runs(&sleep);
}

#[test]
fn a_fork_bomb_without_kernel_fences_is_ended_by_counting() {
    let site =
        site("without = [\"processes\", \"mounts\", \"network\", \"capabilities\", \"landlock\", \"group\"]");
    let sleep = marked_sleep(&site);
    let bomb = "i=0\nwhile [ $i -lt 200 ]; do setsid env -i \"$STATE_DIR/sleep-of-this-test\" 30 & i=$((i + 1)); done\nwait";
    let output = undone(&site, bomb, 20, "the install script was killed: more than 32 processes");
    assert!(output.contains("[fences: none; missing: processes (switched off in the settings)"), "{output}");
    assert_nothing_runs(&sleep);
}

#[test]
fn a_script_that_eats_memory_is_ended_at_its_bound_and_undone() {
    let site = site("");
    // 100 MB, held until the reader is ready.
    let eater = "head -c 100000000 /dev/zero | tail -c 100000000 | { sleep 30; wc -c; }";
    undone(&site, eater, 20, "the install script was killed: more than 67108864 octets of memory");
}

#[test]
fn a_script_that_eats_memory_without_kernel_fences_is_ended_by_measuring() {
    let site = site("without = [\"group\"]");
    // Six times 16 MB and some.
    let eater = "hold() { x=0123456789abcdef; while [ ${#x} -lt 16000000 ]; do x=$x$x; done; sleep 30; }\n\
                 for i in 1 2 3 4 5 6; do hold & done\nwait";
    undone(&site, eater, 60, "the install script was killed: more than 67108864 octets of memory");
}

#[test]
fn a_script_that_fills_the_disk_is_ended_at_its_bound_and_undone() {
    for text in [
        // One file, many files, and files in the new release.
        "i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/zero >> \"$STATE_DIR/fill\" || :; i=$((i + 1)); sleep 0.05; done",
        "i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/zero > \"$TMPDIR/fill$i\"; i=$((i + 1)); sleep 0.05; done",
        "i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/zero > \"$RELEASE_DIR/fill$i\"; i=$((i + 1)); sleep 0.05; done",
    ] {
        let site = site("");
        undone(&site, text, 60, "the install script was killed: more than 8388608 octets written");
        // What it filled its own folder with is gone.
        let left = std::fs::read_dir(site.context.layout.updates_dir()).unwrap().flatten();
        assert!(!left.into_iter().any(|folder| folder.path().join("tmp").exists()));
    }
}

#[test]
fn a_script_that_makes_too_many_files_is_ended_and_undone() {
    let site = site("");
    let text = "i=0; while [ $i -lt 3000 ]; do : > \"$TMPDIR/$i\"; i=$((i + 1)); done; sleep 30";
    undone(&site, text, 60, "the install script was killed: more than 200 new files");
}

#[test]
fn a_script_that_kills_what_stands_above_it_is_undone_and_nothing_of_it_is_left() {
    let site = site("");
    let sleep = marked_sleep(&site);
    // Its parent, everybody (in a namespace of its own that is only itself), and the whole of its group.
    let text = "\"$STATE_DIR/sleep-of-this-test\" 1000 &\nkill -9 $PPID; [ $PPID = 1 ] && kill -9 -1; sleep 0.2; kill -9 0; exit 0";
    let state = run(&site, text, 5);
    assert!(matches!(state, UpdateState::Undone { .. }), "{state:?}");
    assert_eq!(site.running(), OLD);
    assert_nothing_runs(&sleep);
}

#[test]
fn a_script_that_kills_its_keeper_on_an_old_kernel_is_undone_and_nothing_of_it_is_left() {
    let site =
        site("without = [\"processes\", \"mounts\", \"network\", \"capabilities\", \"landlock\", \"group\"]");
    let sleep = marked_sleep(&site);
    // The process above it, and the one above that.
    let text = "env -i setsid \"$STATE_DIR/sleep-of-this-test\" 1000 &\nsleep 0.2\n\
                keeper=$(sed 's/.*) //' /proc/$PPID/stat | cut -d' ' -f2)\nkill -9 $keeper $PPID\nsleep 20";
    undone(&site, text, 15, "the process that watched over the install script ended (signal 9)");
    assert_nothing_runs(&sleep);
}

#[test]
fn what_leaves_session_group_parent_and_environment_behind_ends_with_the_script() {
    for without in ["", "without = [\"processes\", \"group\"]"] {
        let site = site(without);
        let sleep = marked_sleep(&site);
        let text = "env -i setsid sh -c '(\"$1\" 1000 >/dev/null 2>&1 &) &' sh \"$STATE_DIR/sleep-of-this-test\"\nsleep 0.3\n\
                    \"$STATE_DIR/sleep-of-this-test\" 1000 &\necho done";
        let output = ready(&site, text);
        assert!(output.starts_with("done\n"), "{output}");
        assert_nothing_runs(&sleep);
    }
}

#[test]
fn a_script_dies_with_its_installer_and_runs_again_with_the_next() {
    if !fences_can_stand() {
        return;
    }
    let site = site("");
    let sleep = marked_sleep(&site);
    let text = "echo run >> \"$STATE_DIR/scripts\"\n[ \"$(wc -l < \"$STATE_DIR/scripts\")\" -gt 1 ] || setsid env -i \"$STATE_DIR/sleep-of-this-test\" 1000";
    let order = ordered(&site, text, 60);
    let mut first = installer(&site, order).spawn().unwrap();
    until("the script", || !running_file(&sleep).is_empty());
    first.kill().unwrap();
    first.wait().unwrap();
    until("the end of the script", || running_file(&sleep).is_empty());
    assert!(installer(&site, order).status().unwrap().success());
    assert!(matches!(site.state(order), UpdateState::Checked { .. }));
    assert_eq!(site.lines("scripts").len(), 2);
}

#[test]
fn a_script_that_does_nothing_is_fine_when_every_module_is_what_was_signed() {
    let site = site("");
    assert!(!ready(&site, "exit 0").contains("run"));
}

#[test]
fn a_script_cannot_damage_what_it_lies_about() {
    if !fences_can_stand() {
        return;
    }
    let site = site("");
    let text = "for file in \"$RELEASE_DIR/profiles\" \"$CURRENT_DIR/profiles\" \"$STATE_DIR/releases/1.0.00-1/watch\" \"$STATE_DIR/store.db\"; do\n\
                echo damage >> \"$file\"; rm -f \"$file\"; mv \"$RELEASE_DIR/release.json\" \"$file\"; done\nexit 0";
    ready(&site, text);
    assert_eq!(site.store().check().unwrap(), [""; 0]);
}

#[test]
fn damage_done_where_no_fence_stands_is_found_by_the_hashes_and_undone() {
    let site = site("without = [\"mounts\"]");
    // A new file in place of the old one, so that the running release keeps its own.
    let text = "cp \"$RELEASE_DIR/profiles\" \"$TMPDIR/p\" && echo damage >> \"$TMPDIR/p\" && mv \"$TMPDIR/p\" \"$RELEASE_DIR/profiles\"\nexit 0";
    undone(&site, text, 20, "after its script: the file of module profiles");
}

#[test]
fn a_script_that_changes_what_runs_is_set_right_and_undone() {
    let site = site("");
    let text = "ln -sfn \"$RELEASE_DIR\" \"$STATE_DIR/current\"\nexit 0";
    undone(&site, text, 20, "after its script: it changed which release runs");
}

#[test]
fn a_script_cannot_take_away_what_the_box_starts() {
    for (settings, reason) in [
        ("", "the install script failed with exit code 1"),
        ("without = [\"mounts\"]", "after its script: it changed the supervisor that the box starts"),
    ] {
        if settings.is_empty() && !fences_can_stand() {
            continue;
        }
        let file = b"#!/bin/sh\nexit 0\n".to_vec();
        let mut site = Site::with(1, 1, vec![resident_module("supervisor", file.clone())]);
        site.set("script", settings);
        site.releases().prove_supervisor().unwrap();
        undone(&site, "rm \"$STATE_DIR/supervisor\" || exit 1\nexit 0", 20, reason);
        assert_eq!(std::fs::read(site.releases().proven_supervisor()).unwrap(), file);
    }
}

#[test]
fn a_script_writes_only_where_it_may() {
    let outside = tempfile::tempdir().unwrap();
    let allowed = tempfile::tempdir().unwrap();
    let site = site(&format!("may_write = [{:?}]", allowed.path()));
    let text = format!(
        "touch '{out}/made' && echo MADE\nrm '{out}/there' && echo REMOVED\necho x >> '{out}/there' && echo WRITTEN\n\
         mknod \"$TMPDIR/disk\" b 8 0 && echo DEVICE\nln '{out}/there' \"$TMPDIR/link\" && echo x >> \"$TMPDIR/link\" && echo LINKED\n\
         echo 1 > /proc/sys/vm/swappiness && echo SYSTEM\ncat \"$STATE_DIR/secrets/credential\" && echo SECRET\n\
         set -e\necho ok > '{may}/made'; echo ok > \"$TMPDIR/made\"; echo ok > \"$RELEASE_DIR/made\"; echo ok > \"$STATE_DIR/made\"; echo ok > /dev/null\necho end\n",
        out = outside.path().display(),
        may = allowed.path().display()
    );
    std::fs::write(outside.path().join("there"), "there\n").unwrap();
    std::fs::create_dir_all(site.root().join("secrets")).unwrap();
    std::fs::write(site.root().join("secrets/credential"), "0123").unwrap();
    let output = ready(&site, &text);
    assert!(output.contains("end\n"), "{output}");
    assert!(allowed.path().join("made").exists() && site.root().join("made").exists());
    if all_fences_stand(&site) {
        for harm in ["MADE", "REMOVED", "WRITTEN", "DEVICE", "LINKED", "SYSTEM", "SECRET"] {
            assert!(!output.contains(harm), "{output}");
        }
        assert_eq!(std::fs::read_to_string(outside.path().join("there")).unwrap(), "there\n");
    }
}

#[test]
fn a_script_has_no_network() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let ask = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo CONNECTED\nexit 0");
    // Each of the two fences is enough.
    for without in ["", "without = [\"network\"]", "without = [\"landlock\"]"] {
        let site = site(without);
        let output = ready(&site, &ask);
        if without.is_empty() && !all_fences_stand(&site) {
            return;
        }
        assert!(!output.contains("CONNECTED"), "{without}: {output}");
    }
}

#[test]
fn of_a_script_that_fails_exit_code_and_the_end_of_its_output_are_told() {
    let site = site("");
    let text = "head -c 100000 /dev/zero | tr '\\0' x\necho\necho the last words >&2\nexit 9";
    let output = undone(&site, text, 20, "the install script failed with exit code 9");
    assert!(output.len() <= OUTPUT_KEPT && output.len() > OUTPUT_KEPT - 4, "{}", output.len());
    assert!(output.contains("the last words\n"));
}

#[test]
fn a_script_stops_a_module_waits_for_it_and_starts_it_again() {
    let site = site("");
    let text = "set -e\nappliance-ctl wait watch 30\nappliance-ctl stop watch 30\n\
                echo stopped >> \"$STATE_DIR/scripts\"\n\
                appliance-ctl start watch\nuntil [ \"$(wc -l < \"$STATE_DIR/starts\")\" = 2 ]; do sleep 0.1; done\necho started >> \"$STATE_DIR/scripts\"\n\
                appliance-ctl busy watch || echo free >> \"$STATE_DIR/scripts\"\n\
                ! appliance-ctl stop profiles || exit 4\nappliance-ctl ask reboot\n";
    let order = ordered(&site, text, 60);
    let supervisor = site.supervise();
    site.wait_until_over();
    site.assert_installed();
    assert_eq!(site.lines("scripts"), ["stopped", "started", "free"]);
    // At first, after `start`, and in the new release.
    assert_eq!(site.lines("starts"), [OLD, OLD, NEW]);
    assert!(site.store().script_wishes(order, ScriptWish::Reboot).unwrap());
    until("the restart of the box", || site.lines("reboots").len() == 1);
    supervisor.terminate();
}

#[test]
fn a_module_that_a_script_left_stopped_runs_again_when_the_script_has_ended() {
    let site = site("");
    ordered(&site, "appliance-ctl stop watch 30\nappliance-ctl ask reboot\nexit 3", 60);
    let supervisor = site.supervise();
    site.wait_until_over();
    site.assert_undone("the install script failed with exit code 3");
    until("the module", || site.lines("starts") == [OLD, OLD]);
    assert_eq!(site.lines("reboots").len(), 0, "what a failed script asked for does not count");
    supervisor.terminate();
}

#[test]
fn a_script_may_ask_to_be_run_right_after_the_next_restart_and_is_granted_it_once() {
    let site = site("");
    let text = "appliance-ctl ask next-restart && exit 75\necho restarted >> \"$STATE_DIR/scripts\"";
    let order = ordered(&site, text, 20);
    assert!(installer(&site, order).status().unwrap().success());
    assert_eq!(site.state(order).turn(), Turn::NextRestart);
    assert!(site.lines("scripts").is_empty());
    restarted(&site.context, &mut site.store()).unwrap();
    assert!(installer(&site, order).status().unwrap().success());
    assert!(matches!(site.state(order), UpdateState::Checked { .. }));
    assert_eq!(site.lines("scripts"), ["restarted"]);
}

#[test]
fn a_script_cannot_speak_to_the_services_of_the_system() {
    let socket = PathBuf::from(format!("/run/appliance-test-{}.socket", std::process::id()));
    let Ok(_service) = std::os::unix::net::UnixListener::bind(&socket) else {
        println!("nothing can listen in /run here, so nothing was tried");
        return;
    };
    let site = site("");
    let output = ready(&site, &format!("[ -e {0} ] && echo SEEN\nls -A /run\nexit 0", socket.display()));
    std::fs::remove_file(&socket).unwrap();
    if all_fences_stand(&site) {
        assert_eq!(output, "");
    }
}
