//! The result of a request as a task: the objects that were built, how many actions take part, and what those printed.
//!
//! Like those of analysis, its traces are deep: while all sources and all that analysis read are unchanged it is
//! replayed, and nothing between these leaves and the request is looked at. What a null build reports is in this value.

use std::sync::Arc;

use taut_digest::ObjectInfo;
use taut_engine::{Content, Cx, Fail, Hash, Policy, Rule};
use taut_exec::{ActionKey, ActionRule, ArtifactRule, Built, Printed};
use taut_store::Store;
use taut_value::{Decoder, Encoder, Id, Str};

use crate::{
    analysis::{AnalysisRule, NotCollected},
    request_key::RequestKey,
};

/// What was built.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The requested artifacts, by path.
    pub artifacts: Vec<(Str, Built)>,
    /// What is needed to run them, by path.
    pub runfiles: Vec<(Str, Built)>,
    /// How many actions take part.
    pub actions: usize,
    /// What these printed, in the order of their ids.
    pub printed: Vec<Printed>,
}

impl Results {
    /// The number of artifacts and each by path and object, the same of runfiles, the number of actions, the number of
    /// those that printed and of each what it printed. `None` if something comes from an action that failed as it may.
    fn encode(&self) -> Option<Vec<u8>> {
        let mut e = Encoder::new();
        for all in [&self.artifacts, &self.runfiles] {
            e.number(all.len() as u64);
            for (path, built) in all {
                // Nothing is kept then: a failure, though it is allowed, is never taken for known.
                if built.failed {
                    return None;
                }
                e.text(path);
                e.object(&built.info);
            }
        }
        e.number(self.actions as u64);
        e.number(self.printed.len() as u64);
        for printed in &self.printed {
            let mut bytes = Vec::new();
            taut_engine::Interned::encode(printed, &mut bytes);
            e.bytes(&bytes);
        }
        Some(e.finish())
    }

    fn decode(bytes: &[u8]) -> Option<Results> {
        let mut d = Decoder::new(bytes);
        let mut objects = || -> Option<Vec<(Str, Built)>> {
            (0..d.number()?).map(|_| Some((d.text()?, Built { info: d.object()?, failed: false }))).collect()
        };
        let (artifacts, runfiles) = (objects()?, objects()?);
        let actions = usize::try_from(d.number()?).ok()?;
        let printed: Option<Vec<Printed>> =
            (0..d.number()?).map(|_| taut_engine::Interned::decode(d.bytes()?)).collect();
        let results = Results { artifacts, runfiles, actions, printed: printed? };
        d.is_done().then_some(results)
    }

    fn objects(&self) -> impl Iterator<Item = ObjectInfo> {
        let built = self.artifacts.iter().chain(&self.runfiles).map(|(_, built)| built.info);
        built.chain(self.printed.iter().flat_map(Printed::objects))
    }
}

/// Builds requests.
pub(crate) struct ResultRule(pub(crate) Store);

impl ResultRule {
    fn has(&self, info: &ObjectInfo) -> bool {
        self.0.contains(&info.digest.hash, info.object_type).is_ok_and(|there| there)
    }
}

impl Rule for ResultRule {
    type Key = RequestKey;
    type Value = Arc<Results>;
    const NAME: &'static str = "result";

    fn policy(&self, _: &RequestKey) -> Policy {
        // By leaves only: the actions counted and the outputs printed depend on all tasks below.
        Policy::deep(4).only_by_leaves()
    }

    async fn value(&self, request: &RequestKey, cx: Cx) -> Result<Arc<Results>, Fail> {
        let wanted = cx.get::<AnalysisRule>(request.clone()).await?.wanted();
        let mut built = Vec::with_capacity(wanted.len());
        for answer in cx.all::<ArtifactRule>(wanted.keys().collect()).await {
            // The first failure only: `Session::build` collects those of the other artifacts.
            built.push(answer?);
        }
        let roots = wanted.keys().map(|key| cx.task::<ArtifactRule>(key)).collect::<Vec<_>>();
        let below = cx.collect_two::<ActionRule, Content<Printed>>(roots).await;
        // Transient: with sound records the next build can collect.
        let (actions, names) = below.ok_or_else(|| Fail::transient(NotCollected))?;
        let mut sound = Vec::with_capacity(names.len());
        for name in names {
            let printed = (*cx.call::<Content<Printed>>(name).await?).clone();
            if printed.objects().all(|info| self.has(&info)) {
                sound.push(printed);
                continue;
            }
            // What it printed is lost, so its outcome is not valid, either: it runs again.
            let outcome = cx.get::<ActionRule>(ActionKey(printed.action)).await?;
            let (stdout, stderr) = (outcome.ran.stdout, outcome.ran.stderr);
            sound.push(Printed { stdout, stderr, ..printed });
        }
        // Collected in the order of requests; by id, the value and its hash do not depend on that.
        sound.sort_by_key(|printed| printed.action);
        let mut paths = wanted.iter().map(|(path, _)| path.clone()).zip(built);
        let artifacts = paths.by_ref().take(wanted.artifacts.len()).collect();
        let runfiles = paths.take(wanted.runfiles.len()).collect();
        Ok(Arc::new(Results { artifacts, runfiles, actions: actions.len(), printed: sound }))
    }

    fn content_hash(&self, _: &RequestKey, results: &Arc<Results>) -> Option<Hash> {
        results.encode().map(|bytes| Hash(Id::of(bytes).0))
    }

    fn encode_value(&self, _: &RequestKey, results: &Arc<Results>) -> Option<Vec<u8>> {
        results.encode()
    }

    /// Refuses a value with an object that is not in the store: the run is not good then, and what is lost is built
    /// again.
    fn decode_value(&self, _: &RequestKey, bytes: &[u8]) -> Option<Arc<Results>> {
        let results = Results::decode(bytes)?;
        let is_there = results.objects().all(|info| self.has(&info));
        is_there.then(|| Arc::new(results))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_specified() {
        let info: ObjectInfo = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]".parse().unwrap();
        let built = Built { info, failed: false };
        let printed = Printed { action: Id([7; 32]), stdout: None, stderr: Some(info.digest) };
        let results = Results {
            artifacts: vec![("a".into(), built)],
            runfiles: vec![("b".into(), built), ("a".into(), built)],
            actions: 300,
            printed: vec![printed.clone()],
        };
        let object = |letter: u8| {
            let hash = b"\x4e\x3d\xff\xe8\x34\xac\x70\x60\x0a\x7c\xb7\x1f\xbc\x1f\x6a\x69\x4c\x9d\x04\x1f";
            [&[letter, 20], &hash[..], &[12]].concat()
        };
        let of_action = [&[7; 32][..], &[0, 1], &object(b'f')].concat();
        let mut interned = Vec::new();
        taut_engine::Interned::encode(&printed, &mut interned);
        assert_eq!(interned, of_action);
        let parts = [
            &b"\x01\x00\x01a"[..],
            &object(b'x'),
            b"\x02\x00\x01b",
            &object(b'x'),
            b"\x01",
            &object(b'x'),
            b"\xac\x02\x01",
            &[of_action.len() as u8],
            &of_action,
        ];
        let bytes = results.encode().unwrap();
        assert_eq!(bytes, parts.concat());
        let read = Results::decode(&bytes).unwrap();
        assert_eq!((read.actions, &read.printed), (300, &results.printed));
        assert_eq!((&read.artifacts, &read.runfiles), (&results.artifacts, &results.runfiles));
        assert!((0..bytes.len()).all(|end| Results::decode(&bytes[..end]).is_none()));
        let failed = Built { info, failed: true };
        assert_eq!(Results { artifacts: vec![("a".into(), failed)], ..results }.encode(), None);
    }
}
