//! The other modules of an appliance of the play: all that is asked for is done at once, in one transaction with its answer.

use super::{Crashed, Site};
use mailfmt::Report;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport, VersionReportMessage};
use mailfmt::version_report::VersionReport;
use monitor_appliance::store::StoreError;
use monitor_appliance::update::UpdateState;
use std::collections::BTreeMap;

impl Site {
    /// The other modules: version reports and installations, each in one transaction with its answer.
    pub(super) fn execute(&mut self) -> anyhow::Result<Result<(), Crashed>> {
        let requests = self.live()?.store.version_requests()?;
        for request in requests {
            let report = Report::Version(VersionReportMessage {
                nonce: request.nonce,
                table: VersionReport {
                    software: mailfmt::SoftwareVersion::new("1.0.00-1")?,
                    rom: mailfmt::ModuleVersion::new("1.5.08")?,
                    modules: Vec::new(),
                },
                hashes: BTreeMap::new(),
                boot_id: String::new(),
            });
            let done = self.endangered(|live| {
                let answer = live.context.outgoing(report, request.command);
                Ok(live.store.change(|change| change.answer_version(request.id, &answer))?)
            })?;
            if let Err(crashed) = done {
                return Ok(Err(crashed));
            }
        }
        let orders = self.live()?.store.update_orders_open()?;
        for order in orders {
            let command = order.command;
            let result = Report::UpdateResult(UpdateResultReport {
                package: order.package,
                target: order.target.clone(),
                running: order.target.clone(),
                outcome: UpdateOutcome::Installed,
                output: String::new(),
            });
            let done = self.endangered(|live| {
                let now = live.context.now();
                let answer = live.context.outgoing(result, Some(command));
                Ok(live.store.change(|change| {
                    let moved = change.move_update(&order, &UpdateState::Committed, now)?;
                    if moved {
                        change.enqueue(&answer)?;
                    }
                    Ok::<_, StoreError>(moved)
                })?)
            })?;
            match done {
                Ok(true) => *self.installed.entry(command).or_default() += 1,
                Ok(false) => {}
                Err(crashed) => {
                    // It may have ended just after the commit.
                    if self
                        .live()?
                        .store
                        .update_order(order.id)?
                        .is_some_and(|row| row.state == UpdateState::Committed)
                    {
                        *self.installed.entry(command).or_default() += 1;
                    }
                    return Ok(Err(crashed));
                }
            }
        }
        Ok(Ok(()))
    }
}
