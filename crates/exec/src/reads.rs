//! Results of actions by what they read: two look-ups in an action cache, for actions with a depfile.
//!
//! The first key has the command and the *names* of the inputs, and leads to lists of what earlier runs read. The
//! second key has, for one of these lists, the contents of what it names as well, and leads to the result. So an input
//! that was not read may have other content, but an input more or less, which could shadow another one, makes a new
//! key. Both keys are digests of `Action` messages with a salt, and both values are `ActionResult` messages
//! (docs/store.md, `keys`).
//!
//! Some inputs are read without being in a depfile (`unreported`). Their contents are part of both keys.
//!
//! The build finds which inputs the names in a depfile mean (`name_lookup`), and which files were read without a
//! report, also if a server executed the action. For that it reads contents of inputs. Sources are here. Other inputs
//! of an action that ran are fetched if they are few; otherwise the action counts as having read everything.

mod keys;
mod name_lookup;
mod unreported;

use std::collections::{BTreeMap, BTreeSet};

use taut_digest::{ObjectInfo, ObjectType};
use taut_proto::ActionResult;
use taut_value::{ActionDescription, Str, path::normal_path, quoted};

use crate::{
    Execution, RunKey, RunResult,
    depfile::prerequisites,
    inputs,
    message::action_digest,
    result_message::{as_message, cached_result},
    system_dirs::{self, SystemDirs},
    trees,
};
pub use keys::DepfileInputs;
use keys::Input;
pub(crate) use keys::{KeptReads, MAX_LISTS, list_text, parse_list, result_of_lists};
use name_lookup::{DepfileContent, NameLookup};
use unreported::reads_by_assembler;

/// The most that is fetched, for an action that a server executed, to search for reads that no compiler reports.
const MAX_FETCHED_FILES: usize = 256;
const MAX_FETCHED_BYTES: u64 = 8 << 20;

/// An action that ran, and which of its inputs it read.
pub(crate) struct RecordedAction<'k> {
    pub(crate) names: &'k DepfileInputs<'k>,
    pub(crate) read: BTreeSet<Str>,
}

/// Whether an input lists directories of the system.
fn is_list(path: &str, info: &ObjectInfo) -> bool {
    system_dirs::is_list(path) && info.object_type == ObjectType::File
}

impl Execution {
    /// Results by what was read, of actions that a server with this id executes, or that run here.
    pub(crate) fn kept_reads<'a>(&'a self, server: Option<&'a str>) -> KeptReads<'a> {
        KeptReads { store: &self.store, demands: self.demands(), server }
    }

    /// `None` for an action without a depfile.
    pub(crate) fn names<'k>(&self, key: &'k RunKey) -> taut_store::Result<Option<DepfileInputs<'k>>> {
        let Some(depfile) = &key.depfile else { return Ok(None) };
        let objects = inputs::one_by_one(&self.store, &key.action.inputs, &key.inputs)?;
        self.names_of(&key.action, depfile, objects)
    }

    fn names_of<'k>(
        &self,
        action: &'k ActionDescription,
        depfile: &'k Str,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> taut_store::Result<Option<DepfileInputs<'k>>> {
        // Fewer if a tree is lost.
        // Then no key can be made, and the action is looked up by its digest only.
        if objects.len() != action.inputs.len() {
            return Ok(None);
        }
        let inputs = self.counted(action, objects)?;
        Ok(Some(DepfileInputs { action, depfile, inputs }))
    }

    /// The inputs without whose content no earlier result of an action would be used, by what its run read; `None` if
    /// there is no such result, so that all inputs count. `objects`: all inputs, one by one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn counting_inputs(
        &self,
        action: &ActionDescription,
        depfile: &Str,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> taut_store::Result<Option<BTreeSet<Str>>> {
        let Some(names) = self.names_of(action, depfile, objects)? else { return Ok(None) };
        let Some((read, _)) = self.kept_reads(None).result(&names)? else { return Ok(None) };
        let always = names.inputs.iter().filter(|input| input.always_counts);
        Ok(Some(read.into_iter().chain(always.map(|input| input.path.clone())).collect()))
    }

    /// Whether the action cache has a result of an action, by its digest or by what an earlier run read. `objects`: all
    /// inputs, one by one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_result(
        &self,
        action: &ActionDescription,
        depfile: Option<&Str>,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> taut_store::Result<bool> {
        let tree = match trees::digest_of_stage(&self.store, &objects) {
            Ok(tree) => tree,
            Err(trees::TreeError::Store(error)) => return Err(error),
            // Such an action fails before it runs.
            Err(_) => return Ok(false),
        };
        if cached_result(&self.store, action, &action_digest(self, action, &tree))?.is_some() {
            return Ok(true);
        }
        let Some(depfile) = depfile else { return Ok(false) };
        Ok(self.counting_inputs(action, depfile, objects)?.is_some())
    }

    /// Records what a successful run read. The result is stored under both keys if its depfile says what that is.
    pub(crate) fn record_reads<'k>(
        &self,
        names: &'k DepfileInputs<'k>,
        ran: &RunResult,
        result: &ActionResult,
    ) -> taut_store::Result<Option<RecordedAction<'k>>> {
        let DepfileContent::Read(read) = self.reported(names, ran)? else { return Ok(None) };
        // A file that is lost by now says nothing.
        let (reads_more, elsewhere) = self.scan(names, &read)?;
        if reads_more || !elsewhere.is_empty() || !self.kept_reads(None).add(names, &read, result)? {
            return Ok(None);
        }
        Ok(Some(RecordedAction { names, read }))
    }

    /// Has the depfile of a result read that was made by a server: what is wrong with it, and what was read is
    /// recorded, if that `is_kept`. Returns how many bytes came for that.
    pub(crate) async fn read_depfile(
        &self,
        names: &DepfileInputs<'_>,
        server: &str,
        ran: &mut RunResult,
        is_kept: bool,
    ) -> taut_store::Result<()> {
        let lists = names.inputs.iter().filter(|input| is_list(&input.path, &input.info));
        let lists = lists.map(|input| &input.info);
        let of_depfile: Vec<ObjectInfo> =
            ran.outputs.get(names.depfile).into_iter().chain(lists).copied().collect();
        ran.fetched_bytes += self.store.fetch(&of_depfile).await?;
        ran.invalid.extend(self.wrong_depfile(names, ran)?);
        if !is_kept || !ran.is_success() {
            return Ok(());
        }
        let DepfileContent::Read(read) = self.reported(names, ran)? else { return Ok(()) };
        let (mut reads_more, elsewhere) = self.scan(names, &read)?;
        if !reads_more && !elsewhere.is_empty() {
            // Of a result that the server knew, nothing is fetched only to be recorded.
            let bytes = elsewhere.iter().map(|info| info.digest.size).fold(0, u64::saturating_add);
            if ran.run_as.is_none() || elsewhere.len() > MAX_FETCHED_FILES || bytes > MAX_FETCHED_BYTES {
                return Ok(());
            }
            ran.fetched_bytes += self.store.fetch(&elsewhere).await?;
            let (more, lost) = self.scan(names, &read)?;
            reads_more = more || !lost.is_empty();
        }
        if !reads_more
            && self.kept_reads(Some(server)).add(
                names,
                &read,
                &as_message(&self.store, names.action, ran)?,
            )?
            && ran.run_as.is_some()
        {
            self.executor.keep_reads(names, &read, ran)?;
        }
        Ok(())
    }

    /// What is wrong with the depfile of an action that succeeded: it names what is not an input.
    pub(crate) fn wrong_depfile(
        &self,
        names: &DepfileInputs<'_>,
        ran: &RunResult,
    ) -> taut_store::Result<Vec<String>> {
        let DepfileContent::Stranger(name, outside) = self.reported(names, ran)? else {
            return Ok(Vec::new());
        };
        let (depfile, shown) = (quoted(names.depfile), quoted(&name));
        let is_elsewhere = outside.as_ref().filter(|real| real.as_os_str() != name.as_str());
        let real = is_elsewhere.map_or_else(String::new, |real| format!(" ({})", real.display()));
        let mut wrong =
            vec![format!("the depfile {depfile} names {shown}{real}, which is not an input of the action")];
        wrong.extend(outside.map(|_| system_dirs::HELP.to_owned()));
        Ok(wrong)
    }

    /// The content of a result's depfile.
    fn reported(&self, names: &DepfileInputs<'_>, ran: &RunResult) -> taut_store::Result<DepfileContent> {
        let Some(info) = ran
            .outputs
            .get(names.depfile)
            .filter(|info| matches!(info.object_type, ObjectType::File | ObjectType::Executable))
        else {
            return Ok(DepfileContent::Unclear);
        };
        let Some(text) = self.store.read(&info.digest.hash, info.object_type)? else {
            return Ok(DepfileContent::Unclear);
        };
        // Not an error of the build: without lists the action is only run more often.
        let Ok(paths) = prerequisites(&text) else { return Ok(DepfileContent::Unclear) };
        let (mut links, mut lists) = (BTreeMap::new(), Vec::new());
        for Input { path, info, .. } in &names.inputs {
            if info.object_type == ObjectType::Symlink {
                let target = self.store.read(&info.digest.hash, info.object_type)?;
                links
                    .extend(target.and_then(|target| Some((path.as_str(), String::from_utf8(target).ok()?))));
            } else if is_list(path, info) {
                lists.extend(self.store.read(&info.digest.hash, info.object_type)?);
            }
        }
        let inputs = names.inputs.iter().map(|input| (input.path.as_str(), input.info.object_type)).collect();
        let lookup = NameLookup {
            cwd: &normal_path(&names.action.cwd),
            inputs,
            links,
            ran_in: ran.ran_in.as_deref(),
            is_seen_here: ran.is_seen_here,
            system: SystemDirs::new(&lists, &*self.sources),
        };
        Ok(lookup.reported(&paths))
    }

    /// Whether the assembler may have read files, which no compiler reports: a file that was read has such a directive.
    /// Returns also the files that this is not known of, as their contents are not on this machine.
    fn scan(
        &self,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<Str>,
    ) -> taut_store::Result<(bool, Vec<ObjectInfo>)> {
        let mut elsewhere = Vec::new();
        for Input { path, info, always_counts } in &names.inputs {
            let is_read = *always_counts || read.contains(path);
            if !is_read || info.object_type != ObjectType::File {
                continue;
            }
            match self.content_here(names.action, path, info)? {
                Some(content) if reads_by_assembler(&content) => return Ok((true, Vec::new())),
                Some(_) => {}
                None => elsewhere.push(*info),
            }
        }
        Ok((false, elsewhere))
    }
}

#[cfg(test)]
mod tests;
