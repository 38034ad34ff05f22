//! Answers what an install script asks by `appliance-ctl`: what it wants is stored, where the supervisor finds it.

use super::UpdateError;
use super::script::{Answer, Ask, Request, ScriptEnd};
use crate::context::Context;
use crate::release::{Release, Releases, residents};
use crate::store::{ScriptWish, Store};
use crate::supervisor::processes::{exists, running_file};
use mailfmt::ModuleName;
use mailfmt::package::ModuleKind;
use std::path::PathBuf;

/// The desk's clerk for one order's script.
pub(super) struct Control {
    store: Store,
    order: i64,
    folder: PathBuf,
    running: Release,
}

impl Control {
    /// Begins with a clean sheet: what an earlier run of the script asked for does not count.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub(super) fn begin(context: &Context, order: i64) -> Result<Self, UpdateError> {
        let mut store = context.open_store()?;
        store.change(|change| {
            change.let_all_modules_run()?;
            change.forget_wishes(order)
        })?;
        let (folder, running) = Releases::below(context.layout.root()).current()?;
        // What the system tells of a running process is the real path.
        let folder = folder.canonicalize().map_err(|source| UpdateError::Io { path: folder, source })?;
        Ok(Self { store, order, folder, running })
    }

    /// The script ended: whatever it stopped may run again. What it wished counts only after a success, but for the
    /// next restart, which it asks for when it wants to be run again. Returns whether it is to wait for that.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub(super) fn end(mut self, end: &ScriptEnd) -> Result<bool, UpdateError> {
        let order = self.order;
        self.store.change(|change| {
            change.let_all_modules_run()?;
            let waits = *end == ScriptEnd::TryLater && change.has_wish(order, ScriptWish::NextRestart)?;
            if waits {
                change.wish(order, ScriptWish::NextRestartGranted)?;
            }
            if *end != ScriptEnd::Succeeded {
                change.forget_wishes(order)?;
            }
            Ok(waits)
        })
    }

    /// The answer to a question, if there is one already.
    pub(super) fn answer(&mut self, request: &Request) -> Option<Answer> {
        self.try_answer(request).unwrap_or_else(|error| Some(Answer::no(super::reason(&error))))
    }

    fn try_answer(&mut self, request: &Request) -> Result<Option<Answer>, UpdateError> {
        let order = self.order;
        match &request.ask {
            Ask::Restart => self.store.change(|change| change.wish(order, ScriptWish::Restart))?,
            Ask::NextRestart if self.store.script_wishes(order, ScriptWish::NextRestartGranted)? => {
                return Ok(Some(Answer::no("the appliance was restarted since")));
            }
            Ask::NextRestart => self.store.change(|change| change.wish(order, ScriptWish::NextRestart))?,
            Ask::Reboot => self.store.change(|change| change.wish(order, ScriptWish::Reboot))?,
            Ask::Stop(name) | Ask::Start(name) => {
                if let Some(no) = self.not_resident(name) {
                    return Ok(Some(no));
                }
                // Asked once; afterwards only looked at.
                let stopped = self.store.module_stops(order)?.contains(name.as_str());
                match request.ask {
                    Ask::Stop(_) if !stopped => {
                        self.store.change(|change| change.stop_module(order, name.as_str()))?;
                    }
                    Ask::Start(_) if stopped => {
                        self.store.change(|change| change.let_module_run(name.as_str()))?;
                    }
                    _ => {}
                }
            }
            Ask::Wait(_) | Ask::Busy(_) => {}
        }
        let (Ask::Stop(name) | Ask::Start(name) | Ask::Wait(name) | Ask::Busy(name)) = &request.ask else {
            return Ok(Some(Answer::yes("")));
        };
        let sight = self.look(name)?;
        Ok(decide(request, name, &sight))
    }

    /// Only what the supervisor keeps running can be stopped and started; the supervisor itself cannot.
    fn not_resident(&self, name: &ModuleName) -> Option<Answer> {
        let resident = residents(&self.running).any(|module| module.name == *name);
        (!resident).then(|| Answer { code: 2, text: format!("{name} is no module that can be stopped") })
    }

    fn look(&self, name: &ModuleName) -> Result<Sight, UpdateError> {
        let kind = self.running.modules.iter().find(|module| module.name == *name).map(|module| module.kind);
        let busy = self.store.busy()?.into_iter().find(|row| row.module == name.as_str() && exists(row.pid));
        let stands = self.store.module_stops(self.order)?.contains(name.as_str())
            && !self.store.module_stops_open(self.order)?.contains(name.as_str());
        let runs = !running_file(&self.folder.join(name.as_str())).is_empty();
        Ok(Sight { kind, stands, runs, busy: busy.map(|row| row.reason) })
    }
}

/// What there is to see of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    /// What it is; `None` when the running release has no such module.
    kind: Option<ModuleKind>,
    /// Whether the supervisor has seen to it that it stands still.
    stands: bool,
    /// Whether its file is run just now.
    runs: bool,
    /// What it is in the middle of.
    busy: Option<String>,
}

impl Sight {
    /// Why the module is not to be disturbed; one that is run on demand is busy as long as it runs.
    fn occupied(&self) -> Option<&str> {
        let at_work = self.runs && self.kind.is_some_and(|kind| kind != ModuleKind::Resident);
        self.busy.as_deref().or(at_work.then_some("it runs"))
    }
}

/// The answer to a question about a module; `None` when it is still to come.
fn decide(request: &Request, name: &ModuleName, sight: &Sight) -> Option<Answer> {
    let late = request.open_for >= request.patience;
    let secs = request.patience.as_secs();
    let in_time = |reached: bool, text: String| match (reached, late) {
        (true, _) => Some(Answer::yes("")),
        (false, true) => Some(Answer::no(text)),
        (false, false) => None,
    };
    if sight.kind.is_none() {
        return Some(Answer { code: 2, text: format!("{name} is no module of the running release") });
    }
    match &request.ask {
        Ask::Stop(_) => in_time(sight.stands, format!("{name} does not stand still after {secs} s")),
        Ask::Wait(_) => {
            let why = sight.occupied();
            in_time(
                why.is_none(),
                format!("{name} is still busy after {secs} s: {}", why.unwrap_or_default()),
            )
        }
        Ask::Busy(_) => Some(match sight.occupied() {
            Some(why) => Answer::yes(why),
            None => Answer::no(""),
        }),
        // The supervisor starts it at its next look.
        Ask::Start(_) | Ask::Restart | Ask::Reboot | Ask::NextRestart => Some(Answer::yes("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn asked(ask: fn(ModuleName) -> Ask, open_secs: u64, sight: &Sight) -> Option<u8> {
        let name = ModuleName::new("watch").unwrap();
        let request = Request {
            ask: ask(name.clone()),
            open_for: Duration::from_secs(open_secs),
            patience: Duration::from_secs(60),
        };
        decide(&request, &name, sight).map(|answer| answer.code)
    }

    fn sight(kind: ModuleKind, runs: bool) -> Sight {
        Sight { kind: Some(kind), stands: false, runs, busy: None }
    }

    #[test]
    fn stopping_is_done_when_the_supervisor_says_so_and_given_up_in_time() {
        let up = sight(ModuleKind::Resident, true);
        assert_eq!((asked(Ask::Stop, 0, &up), asked(Ask::Stop, 60, &up)), (None, Some(1)));
        assert_eq!(asked(Ask::Stop, 61, &Sight { stands: true, ..up.clone() }), Some(0));
        assert_eq!(asked(Ask::Start, 0, &up), Some(0));
    }

    #[test]
    fn a_resident_module_is_busy_when_it_says_so_and_another_while_it_runs() {
        let resident = sight(ModuleKind::Resident, true);
        assert_eq!((asked(Ask::Busy, 0, &resident), asked(Ask::Wait, 0, &resident)), (Some(1), Some(0)));
        let collecting = Sight { busy: Some("collecting counters".to_owned()), ..resident };
        assert_eq!((asked(Ask::Busy, 0, &collecting), asked(Ask::Wait, 0, &collecting)), (Some(0), None));
        let on_demand = sight(ModuleKind::OnDemand, true);
        assert_eq!((asked(Ask::Busy, 0, &on_demand), asked(Ask::Wait, 60, &on_demand)), (Some(0), Some(1)));
    }

    #[test]
    fn a_module_that_is_not_there_is_a_mistake_of_the_script() {
        let none = Sight { kind: None, stands: false, runs: false, busy: None };
        for ask in [Ask::Stop, Ask::Start, Ask::Wait, Ask::Busy] {
            assert_eq!(asked(ask, 0, &none), Some(2));
        }
    }
}
