//! A round of `watch`: builds, installs, and tells what was done and what came out differently.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use taut_driver::{
    Built, Results, Undelivered,
    event::{Event, Status},
};
use taut_value::Str;

use super::{Held, Over, SHOWN, Watcher};
use crate::{
    diagnostics,
    exit::Exit,
    failures::{self, Defined},
    findings,
    interruption::Interruption,
    log::Level,
    printer::Printer,
    reporting::Reporting,
    reproduce::Reproduction,
    results,
    surroundings::Name,
};

impl Watcher<'_> {
    /// Builds, and tells what was done. `changed`: nothing for the first round, then the paths that changed, if
    /// that is why there is a round; other rounds are silent if there was nothing to do.
    pub(super) fn round(
        &self,
        held: &mut Held,
        interruption: &Interruption,
        changed: Option<Option<&[PathBuf]>>,
    ) -> Result<(), Over> {
        let reporting = Arc::new(Reporting::of_round(!self.o.build.analysis.no_trace));
        reporting.requested(&held.request);
        reporting.keep_in(&held.store);
        interruption.ends_log(&reporting.log);
        let done = self.reported_round(held, interruption, changed, &reporting);
        let status = match &done {
            Err(Over::Exit(exit)) => exit.status(),
            Ok(()) if held.is_built => Status::Success,
            Ok(()) if !held.told.is_empty() => Status::AnalysisFailed,
            _ => Status::BuildFailed,
        };
        reporting.finish(status, self.log);
        done
    }

    fn reported_round(
        &self,
        held: &mut Held,
        interruption: &Interruption,
        changed: Option<Option<&[PathBuf]>>,
        reporting: &Arc<Reporting>,
    ) -> Result<(), Over> {
        let (log, begin) = (self.log, Instant::now());
        held.begin = SystemTime::now();
        held.is_built = false;
        let is_silent = changed == Some(None);
        *held.present.0.lock().unwrap_or_else(PoisonError::into_inner) =
            (Printer::new(Name::Taut, &self.o.build.stores, log, &held.store), reporting.clone());
        if let Some(Some(paths)) = changed {
            log.say(Level::Info, what_changed(&self.here, paths));
        }
        let tell_tasks = |held: &Held| {
            if reporting.uses_state {
                held.session.tell_tasks(&held.request.repositories);
            }
        };
        reporting.tell(&Event::AnalysisBegan);
        let analysed = match held.session.analysed(&held.request) {
            Ok(analysed) => analysed,
            Err(problems) => {
                tell_tasks(held);
                reporting.tell(&Event::AnalysisFailed(&problems));
                let told = format!("{problems:?}");
                if !is_silent || told != held.told {
                    diagnostics::tell(&problems, Level::Error, log);
                    log.say(Level::Info, "Analysis failed; waiting for a change.");
                }
                held.told = told;
                return Ok(interruption.check()?);
            }
        };
        held.told.clear();
        if held.last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &analysed)) {
            findings::tell_warnings(&analysed, &held.request, log);
        }
        held.session.tell_analysed(&held.request, &analysed);
        let built = held.session.result(&held.request, &analysed.wanted());
        held.is_built = built.is_ok();
        held.last = Some(analysed.clone());
        held.session.tell_end(built.as_ref().ok().map(|results| results.actions));
        tell_tasks(held);
        interruption.check()?;
        let done = held.session.done();
        let origins = held.session.origins(&held.request);
        if changed.is_none()
            || changed.is_some_and(|paths| paths.is_some())
            || !done.ran.is_empty()
            || done.analysed > 0
        {
            let mut text = format!(
                "{}: {} analysed, {} of {} run, {} known to the action cache; {:.2} s.",
                held.request.targets.names(),
                many(done.analysed, "target"),
                many(done.ran.len(), "action"),
                analysed.counts.actions,
                done.cached,
                begin.elapsed().as_secs_f64(),
            );
            for id in done.ran.iter().take(SHOWN) {
                let origin = origins.first(id).unwrap_or_else(|| format!("\"{id}\""));
                text.push_str(&format!("\n  ran {origin}"));
            }
            if done.ran.len() > SHOWN {
                text.push_str(&format!("\n  and {} more", done.ran.len() - SHOWN));
            }
            log.say(Level::Info, text);
        }
        let told = match built {
            Ok(built) => self.tell_results(held, &built),
            Err(failure) if failure.is_lost() => {
                let causes = failure.unbuilt.iter().map(|unbuilt| unbuilt.cause.to_string());
                let (text, log) = (causes.take(SHOWN).collect::<Vec<_>>().join("\n"), log.clone());
                Err(Over::Lost(Box::new(move || {
                    log.say(Level::Error, text);
                    Exit::BuildFailure
                })))
            }
            Err(failure) => {
                let defined = Defined {
                    action: &|id| origins.of(id),
                    overlay: &|id| origins.of_overlay(id),
                    requested: held.request.targets.names(),
                };
                let (printer, by_hand) = (held.present.printer(), Reproduction::of_call(std::env::args()));
                failures::tell(&failure, &defined, &printer, &by_hand, self.o.build.results.keep_going);
                Ok(())
            }
        };
        held.session.commit();
        told
    }

    /// Installs if asked to, and tells what is different from the round before.
    fn tell_results(&self, held: &mut Held, built: &Results) -> Result<(), Over> {
        let is_new = |(path, built): &&(Str, Built)| held.results.get(path) != Some(&built.info);
        let new: Vec<&(Str, Built)> = built.artifacts.iter().filter(is_new).collect();
        if let Some(directory) = &self.output {
            let owner = held.request.owner();
            held.feedback.before_install();
            let put = results::put(&held.store, built, directory, &owner, self.o.prune, self.log);
            put.map_err(|undelivered| match undelivered {
                Undelivered::Lost(stop) => Over::Lost(stop),
                Undelivered::Stopped(exit) => Over::Exit(exit),
            })?;
            let all = built.runfiles.iter().chain(&built.artifacts);
            held.feedback.after_install(all.map(|(path, built)| (path.clone(), built.info)).collect());
        }
        let shown: String =
            new.iter().take(SHOWN).map(|(path, built)| format!("\n  {path} {}", built.info)).collect();
        if !new.is_empty() {
            let more = new.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            self.log.say(Level::Info, format!("New results:{shown}{more}"));
        }
        held.results = built.artifacts.iter().map(|(path, built)| (path.clone(), built.info)).collect();
        Ok(())
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// In words; paths below `here` are shown from there.
pub(super) fn what_changed(here: &Path, paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().take(SHOWN).map(|path| shown(here, path)).collect();
    match paths.len() {
        0 => "Something changed: everything is looked at.".to_owned(),
        n if n > SHOWN => format!("{} and {} more changed.", names.join(", "), n - SHOWN),
        _ => format!("{} changed.", names.join(", ")),
    }
}

/// A path as seen from a directory.
pub(super) fn shown(here: &Path, path: &Path) -> String {
    match path.strip_prefix(here) {
        Ok(below) if !below.as_os_str().is_empty() && here != Path::new("/") => below.display().to_string(),
        _ => path.display().to_string(),
    }
}
