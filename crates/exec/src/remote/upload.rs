//! Sending what a server lacks: first asked for in one batch, then sent; where trees are checked as they arrive, as in
//! the native protocol, what is below before what is above. Each object is asked for and sent once in a build, however
//! many actions want it; the others wait for that.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use taut_digest::{Digest, HashFunction, ObjectInfo, ObjectType};
use taut_engine::Fail;
use taut_service::{Blob, Caller, Error, Source};

use super::{
    ActionTransfer, MAX_REPEATS, Transfers,
    claims::Claimed,
    inputs::{Part, RemoteAction, key, parts},
};
use crate::{Cause, ExecutionFailure, Step};

/// What is sent to which server, and for which caller.
struct Delivery<'d, B> {
    server: usize,
    caller: &'d Caller,
    described: &'d RemoteAction,
    /// Called with a server before anything is sent to it, or fetched from it.
    begins: &'d B,
}

/// The objects that one action sends, each with its height.
struct Claim<'c> {
    claimed: Claimed<'c>,
    /// All of them.
    own: Vec<(usize, ObjectInfo)>,
    /// The objects that the server lacks.
    missing: Vec<(usize, ObjectInfo)>,
}

impl Transfers {
    /// Sends a server what it lacks of the inputs of an action. `begins` is called with a server before anything is
    /// sent to it, or fetched from it.
    pub(super) async fn provide(
        &self,
        server: usize,
        caller: &Caller,
        described: &RemoteAction,
        begins: &(impl Fn(&Arc<str>, Step) + Sync),
        moved: &mut ActionTransfer,
    ) -> Result<(), Fail> {
        let begin = Instant::now();
        // What is fetched from another server to be sent on is counted as downloading, so it is taken off here.
        let downloading = moved.downloading;
        let delivery = Delivery { server, caller, described, begins };
        let provided = self.provide_all(&delivery, moved).await;
        moved.uploading += begin.elapsed().saturating_sub(moved.downloading - downloading);
        provided
    }

    async fn provide_all<B>(&self, delivery: &Delivery<'_, B>, moved: &mut ActionTransfer) -> Result<(), Fail>
    where
        B: Fn(&Arc<str>, Step) + Sync,
    {
        let Delivery { server, described, begins, .. } = *delivery;
        let mut repeats = 0;
        loop {
            let wanted = parts(&self.store, server, described, false);
            let mut wanted = wanted.map_err(|error| self.failed_in_store(error))?;
            if wanted.is_empty() {
                return Ok(());
            }
            begins(&self.endpoints[server].name, Step::Uploading);
            // Leaves first; the loop in `send` relies on equal heights being adjacent.
            wanted.sort_unstable_by_key(|part| part.height);
            let sent = self.send(delivery, &wanted, moved).await;
            // Success is not a reason to stop: objects that other actions claimed may have failed there, so the list is
            // made once more.
            let Err(fail) = sent else { continue };
            // A tree is refused if something in it is gone that was there before.
            let failure = fail.downcast_ref::<ExecutionFailure>().map(|failure| &failure.cause);
            repeats += 1;
            let may_be_lost = matches!(failure, Some(Cause::Server(_))) && repeats <= MAX_REPEATS;
            if !may_be_lost || !self.has_lost(server, described).await? {
                return Err(fail);
            }
        }
    }

    /// Sends what is missing of some objects, sorted by height. Not all need be there afterwards: what others failed to
    /// send.
    async fn send<B>(
        &self,
        delivery: &Delivery<'_, B>,
        wanted: &[Part],
        moved: &mut ActionTransfer,
    ) -> Result<(), Fail>
    where
        B: Fn(&Arc<str>, Step) + Sync,
    {
        let Delivery { server, described, .. } = *delivery;
        let (store, cas) = (&self.store, &self.endpoints[server].cas);
        let claims = &self.claims[server];
        let mut claimed = claims.claim(wanted.iter().map(|part| key(&part.object)));
        // Another action may have been done with them just before they were claimed.
        let is_done = |part: &&Part| store.is_checked(server, &part.object);
        let done: Vec<_> = wanted.iter().filter(is_done).map(|part| key(&part.object)).collect();
        claimed.done(done.into_iter());
        let mut own = Vec::new();
        for part in wanted.iter().filter(|part| claimed.has(&key(&part.object))) {
            own.push((part, self.measured(described, &part.object)?));
        }
        let name = |object: &ObjectInfo| {
            store.name_at_servers(&object.digest, object.object_type == ObjectType::Tree)
        };
        let missing = match own.is_empty() {
            true => Vec::new(),
            false => {
                let asked = cas.missing(own.iter().map(|(_, object)| name(object)).collect()).await;
                asked.map_err(|error| self.failed(server, error))?
            }
        };
        let missing: HashSet<Digest> = missing.into_iter().collect();
        let gone: Vec<ObjectInfo> = (own.iter())
            .filter(|(part, object)| part.is_noted && missing.contains(&name(object)))
            .map(|(_, object)| *object)
            .collect();
        if !gone.is_empty() {
            // What is below has to be looked at now; and where this is gone, more may be.
            store.forget_at_server(server, gone);
            drop(claimed);
            let verified = store.verify_server_objects(server).await;
            return verified.map_err(|error| self.failed_in_store(error));
        }
        let missing = own.iter().filter(|(_, object)| missing.contains(&name(object)));
        let missing: Vec<_> = missing.map(|(part, object)| (part.height, *object)).collect();
        self.lacked[server].add(missing.iter().map(|(_, object)| *object));
        let own = own.iter().map(|(part, object)| (part.height, *object)).collect();
        self.send_levels(delivery, wanted, Claim { claimed, own, missing }, moved).await
    }

    /// Sends what is missing, what is below before what is above, and waits at each level for what other actions send
    /// of it.
    async fn send_levels<B>(
        &self,
        delivery: &Delivery<'_, B>,
        wanted: &[Part],
        claim: Claim<'_>,
        moved: &mut ActionTransfer,
    ) -> Result<(), Fail>
    where
        B: Fn(&Arc<str>, Step) + Sync,
    {
        let Delivery { server, caller, described, .. } = *delivery;
        let (store, claims) = (&self.store, &self.claims[server]);
        let Claim { mut claimed, own, missing } = claim;
        let name = |object: &ObjectInfo| {
            store.name_at_servers(&object.digest, object.object_type == ObjectType::Tree)
        };
        // In the standard protocol nothing has to be there before what refers to it. Else all that is below may be sent
        // together with it only if no other action sends some of that.
        let is_unordered = store.hash_function() == HashFunction::Sha256;
        let is_together = is_unordered || wanted.iter().all(|part| claimed.has(&key(&part.object)));
        let mut rest = wanted;
        while let Some(first) = rest.first() {
            let together = match is_together {
                true => rest.len(),
                false => rest.partition_point(|part| part.height == first.height),
            };
            let (now, above) = rest.split_at(together);
            rest = above;
            let heights = first.height..=now.last().map_or(0, |part| part.height);
            let of_these = |all: &[(usize, ObjectInfo)]| -> Vec<(usize, ObjectInfo)> {
                all.iter().filter(|(height, _)| heights.contains(height)).copied().collect()
            };
            let (own, missing) = (of_these(&own), of_these(&missing));
            let objects: Vec<ObjectInfo> = missing.iter().map(|(_, object)| *object).collect();
            self.fetch_elsewhere(delivery, &objects, moved).await?;
            let mut levels: BTreeMap<usize, Vec<Blob>> = BTreeMap::new();
            for (height, object) in missing {
                let source = self.source(described, &object)?;
                let level = levels.entry(if is_unordered { 0 } else { height }).or_default();
                level.push(Blob { digest: name(&object), source });
            }
            if let Err(error) = self.put(server, levels.into_values().collect(), moved).await {
                return Err(match self.damaged_here(described, &objects, &error)? {
                    Some(object) => Cause::Lost(object).fail(),
                    None => self.failed(server, error),
                });
            }
            store.note_at_server(server, true, own.iter().map(|(_, object)| *object));
            claimed.done(own.iter().map(|(_, object)| key(object)));
            for part in now.iter().filter(|part| !claimed.has(&key(&part.object))) {
                caller.without_counting(claims.wait(key(&part.object))).await;
            }
            // What is above them cannot be sent before they are there.
            if now.iter().any(|part| !store.is_checked(server, &part.object)) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn put(
        &self,
        server: usize,
        levels: Vec<Vec<Blob>>,
        moved: &mut ActionTransfer,
    ) -> taut_service::Result<()> {
        if levels.is_empty() {
            return Ok(());
        }
        let (count, bytes) = levels
            .iter()
            .flatten()
            .fold((0, 0), |(count, bytes), blob| (count + 1, bytes + blob.digest.size));
        // One call for all levels: their order is kept, and small blobs of several share a round trip.
        self.endpoints[server].cas.put_levels(levels).await?;
        moved.sent_objects += count;
        moved.sent_bytes += bytes;
        // Relaxed: a total for the summary, read when the build is over.
        self.sent.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// The first of some objects that is damaged in the store, or no longer there, if they could not be sent because of
    /// something here. It is made again, as any object that is lost.
    fn damaged_here(
        &self,
        described: &RemoteAction,
        objects: &[ObjectInfo],
        error: &Error,
    ) -> Result<Option<ObjectInfo>, Fail> {
        if !matches!(error, Error::Local(_) | Error::Corrupt(_)) {
            return Ok(None);
        }
        let store = &self.store;
        for object in objects {
            let ObjectInfo { digest: Digest { hash, .. }, object_type } = object;
            let is_in_memory =
                described.made(&key(object)).is_some() || store.withheld_source(hash, *object_type).is_some();
            // Both compare what they read with its name, and remove what is damaged.
            let is_whole = match object_type {
                _ if is_in_memory => Ok(true),
                ObjectType::Tree => store.read(hash, ObjectType::Tree).map(|bytes| bytes.is_some()),
                _ => store.open_file(hash).map(|file| file.is_some()),
            };
            if !is_whole.map_err(|error| self.failed_in_store(error))? {
                return Ok(Some(*object));
            }
        }
        Ok(None)
    }

    /// Whether a server turns out to lack something that it was thought to have for an action, also below directories
    /// that are only there.
    pub(super) async fn has_lost(&self, server: usize, described: &RemoteAction) -> Result<bool, Fail> {
        let store = &self.store;
        let wanted = parts(store, server, described, true).map_err(|error| self.failed_in_store(error))?;
        let mut objects = Vec::new();
        for part in &wanted {
            objects.push(self.measured(described, &part.object)?);
        }
        let name = |object: &ObjectInfo| {
            store.name_at_servers(&object.digest, object.object_type == ObjectType::Tree)
        };
        let asked = self.endpoints[server].cas.missing(objects.iter().map(name).collect()).await;
        // If that is not answered, either, the first error is the one to report.
        let Ok(missing) = asked else { return Ok(false) };
        let missing: HashSet<Digest> = missing.into_iter().collect();
        let gone: Vec<ObjectInfo> =
            objects.into_iter().filter(|object| missing.contains(&name(object))).collect();
        if gone.is_empty() {
            let is_elsewhere = |part: &&Part| part.is_noted && part.object.object_type == ObjectType::Tree;
            let trees: Vec<ObjectInfo> = wanted.iter().filter(is_elsewhere).map(|part| part.object).collect();
            return match store.verify_below(server, &trees).await {
                Ok(()) => Ok(trees.iter().any(|tree| !store.is_noted(server, tree))),
                Err(taut_store::Error::Remote(_)) => Ok(false),
                Err(error) => Err(self.failed_in_store(error)),
            };
        }
        store.forget_at_server(server, gone);
        // A checked directory counts as checked with everything below it, so directories that can be sent again are
        // checked anew.
        for Part { object, .. } in wanted.iter().filter(|part| part.object.object_type == ObjectType::Tree) {
            let can_be_sent = described.made(&key(object)).is_some()
                || store
                    .has_bytes_of_tree(&object.digest.hash)
                    .map_err(|error| self.failed_in_store(error))?;
            if can_be_sent {
                store.forget_at_server(server, [*object]);
            }
        }
        Ok(true)
    }

    /// An object with its size, as far as that is known.
    fn measured(&self, described: &RemoteAction, object: &ObjectInfo) -> Result<ObjectInfo, Fail> {
        let store = &self.store;
        let size = match described.made(&key(object)) {
            Some(made) => Some(made.bytes.len() as u64),
            None if object.digest.size > 0 => return Ok(*object),
            None => store
                .known_size(&object.digest.hash, object.object_type)
                .map_err(|error| self.failed_in_store(error))?,
        };
        Ok(ObjectInfo { digest: Digest { size: size.unwrap_or(0), ..object.digest }, ..*object })
    }

    /// Brings what a server lacks of some objects here, from other servers. All at once, and each for itself: of a
    /// directory its bytes.
    async fn fetch_elsewhere<B>(
        &self,
        delivery: &Delivery<'_, B>,
        missing: &[ObjectInfo],
        moved: &mut ActionTransfer,
    ) -> Result<(), Fail>
    where
        B: Fn(&Arc<str>, Step) + Sync,
    {
        let Delivery { server, described, begins, .. } = *delivery;
        let store = &self.store;
        let in_store = |error| self.failed_in_store(error);
        let mut elsewhere = Vec::new();
        for object in missing.iter().filter(|object| described.made(&key(object)).is_none()) {
            let (hash, object_type) = (&object.digest.hash, object.object_type);
            let is_withheld = store.withheld_source(hash, object_type).is_some();
            if !is_withheld && !store.is_here(hash, object_type).map_err(in_store)? {
                elsewhere.push(*object);
            }
        }
        if elsewhere.is_empty() {
            return Ok(());
        }
        // They have to be elsewhere, as this server does not have them.
        store.forget_at_server(server, elsewhere.iter().copied());
        let from = store.server_of(&elsewhere).map_err(in_store)?.map(Arc::from);
        if let Some(from) = &from {
            begins(from, Step::Downloading);
        }
        let begin = Instant::now();
        let fetched = store.fetch_each(&elsewhere).await;
        moved.downloading += begin.elapsed();
        match fetched {
            Ok(bytes) => moved.fetched_bytes += bytes,
            Err(error) => {
                if matches!(error, taut_store::Error::Missing(_)) {
                    // What was lost together is made again together.
                    store.verify_server_objects(server).await.map_err(in_store)?;
                }
                return Err(in_store(error));
            }
        }
        if from.is_some() {
            begins(&self.endpoints[server].name, Step::Uploading);
        }
        Ok(())
    }

    /// The bytes of an object, which are on this machine.
    fn source(&self, described: &RemoteAction, object: &ObjectInfo) -> Result<Arc<dyn Source>, Fail> {
        if let Some(made) = described.made(&key(object)) {
            return Ok(made.bytes.clone());
        }
        let (store, hash) = (&self.store, &object.digest.hash);
        if let Some(source) = store.withheld_source(hash, object.object_type) {
            return Ok(source);
        }
        let in_store = |error| self.failed_in_store(error);
        if object.object_type == ObjectType::Tree
            && !store.is_here(hash, ObjectType::Tree).map_err(in_store)?
        {
            let lost = || taut_store::Error::Missing(*object);
            let bytes = store.read(hash, ObjectType::Tree).and_then(|bytes| bytes.ok_or_else(lost));
            return Ok(Arc::new(bytes.map_err(in_store)?));
        }
        Ok(store.source(object))
    }
}
