//! What a build goes by: from the records of earlier calls as far as they hold, else from analysis.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use taut_analysis::ConfiguredTarget;
use taut_engine::Key;
use taut_syntax::Diagnostics;
use taut_value::{Decoder, Encoder, Id};

use crate::census::{Census, short};
use crate::survey::{stored, survey};
use crate::traces::{Described, Recalled};
use crate::{Request, RequestKey, Session, Survey, Traces, Wanted};

/// What is known of what is reached, and where that is kept.
#[derive(Clone, Default)]
pub struct Basis {
    pub(crate) census: Option<Arc<Census>>,
    /// Under which name it is kept already.
    kept_as: Option<String>,
    /// What goes with it, to be kept.
    wanted: Vec<u8>,
}

/// What earlier calls know of a request.
#[derive(Default)]
pub struct Known {
    /// What was told of analysis, and what is to be built, if analysis would come to the same. Not enough to
    /// build by if there is a report.
    pub analysed: Option<(Vec<u8>, Wanted, Basis)>,
    /// The report of the build, if it would come to the same.
    pub report: Option<Vec<u8>>,
    /// Of use to an analysis that may come to something else.
    earlier: Option<Arc<Census>>,
}

fn encode(wanted: &Wanted) -> Vec<u8> {
    let mut e = Encoder::new();
    for all in [&wanted.artifacts, &wanted.runfiles] {
        e.number(all.len() as u64);
        for (path, artifact) in all {
            e.text(path);
            e.artifact(artifact);
        }
    }
    e.finish()
}

fn decode(bytes: &[u8]) -> Option<Wanted> {
    let mut d = Decoder::new(bytes);
    let mut wanted = Wanted::default();
    for all in [&mut wanted.artifacts, &mut wanted.runfiles] {
        for _ in 0..d.number()? {
            all.push((d.text()?, d.artifact()?));
        }
    }
    d.is_done().then_some(wanted)
}

impl Session {
    /// What earlier calls left of the request. A report for which `is_sound` says no does not count.
    pub fn recall_request(
        &self,
        traces: &Traces,
        key: RequestKey,
        is_sound: impl FnOnce(&[u8]) -> bool,
    ) -> Known {
        let Recalled { census, described, report, is_collected } = traces.recall(&self.engine, key, is_sound);
        self.is_collected.fetch_or(is_collected, SeqCst);
        self.runs.trouble().absorb(traces.trouble());
        let analysed = described.and_then(|(bytes, name)| {
            let (len, rest) = bytes.split_first_chunk::<8>()?;
            let (told, wanted) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
            let (told, wanted) = (told.to_vec(), decode(wanted)?);
            let described = Basis { census: census.clone(), kept_as: Some(name), wanted: Vec::new() };
            Some((told, wanted, described))
        });
        Known { analysed, report, earlier: census }
    }

    /// Analyses the target of the request as far as a build has to know. `known`: what earlier calls left.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub fn survey(&self, request: &Request, known: &Known) -> Result<Survey, Diagnostics> {
        let hash_function = self.execution.store.hash_function();
        survey(&self.build, request, hash_function, known.earlier.as_deref())
    }

    /// Keeps what analysis of the request came to, unless it is kept already, and the report of its build, if it
    /// has one. `told`: what was told of analysis.
    pub fn keep(
        &self,
        traces: &Traces,
        key: RequestKey,
        basis: &Basis,
        told: &[u8],
        report: Option<Vec<u8>>,
    ) {
        if !self.is_collected.load(SeqCst) {
            traces.is_refreshed(key);
        }
        let Some(census) = &basis.census else { return };
        let described = match &basis.kept_as {
            Some(_) if report.is_none() => return,
            Some(name) => Described::Before(name),
            None => {
                let len = (told.len() as u64).to_le_bytes();
                Described::Now([&len[..], told, &basis.wanted].concat())
            }
        };
        let census = || census.encode(&stored(&self.engine, census));
        traces.keep_build(&self.build, key, census, described, report);
        self.runs.trouble().absorb(traces.trouble());
    }
}

impl Basis {
    /// A target that asks for an action, and the action's number there.
    pub fn origin(&self, action: &Id) -> Option<String> {
        let (key, place) = self.census.as_ref()?.owner(&short(&action.0))?;
        Some(format!("{}#{place}", ConfiguredTarget::decode(key)?.name.to_json()))
    }
}

impl Survey {
    /// What a build of it goes by.
    pub fn basis(&self) -> Basis {
        Basis { census: self.census.clone(), kept_as: None, wanted: encode(&self.wanted) }
    }
}
