//! Configured targets as tasks.
//!
//! Locational equality: a named target *is* its place and its configuration, known before anything about
//! it is, so that all who ask for it share one task. An anonymous target is its rule map and its node.

use std::{fmt, sync::Arc};

use taut_digest::HashFunction;
use taut_engine::{Cx, Fail, Hash, Key, Policy, Rule};
use taut_repos::{Place, RepoConfig, Repository, Root};
use taut_syntax::{Diagnostic, Frame, Kind};
use taut_value::{Decoder, Encoder, EntityName, NamedTarget, ReferenceType, Value};

use crate::{
    AnalysedTarget, Config, Definitions, EntryPart, ModuleEntry, NameContext, builtin, facets,
    module::KEPT,
    problem::{fail, settle},
    source, user,
    vocabulary::Builtin,
};

/// What the rules of analysis share: the world as far as descriptions can see it.
pub struct Workspace {
    /// All repositories.
    pub repositories: RepoConfig,
    /// How contents are named.
    pub hash_function: HashFunction,
    /// Where definitions go.
    pub definitions: Definitions,
    /// How long a value may be in messages.
    pub log_limit: usize,
}

impl Workspace {
    pub(crate) fn repository(&self, name: &str) -> Result<&Repository, Fail> {
        self.repositories
            .repositories
            .get(name)
            .ok_or_else(|| fail(Diagnostic::error(format!("Unknown repository {name:?}"))))
    }

    pub(crate) fn names<'c>(&'c self, at: &'c NamedTarget) -> NameContext<'c> {
        NameContext { repositories: &self.repositories, repository: &at.repository, module: &at.module }
    }
}

/// The file of a module below one of a repository's roots.
pub fn module_file(root: &Root, module: &str, file: &str) -> Place {
    let path = if module.is_empty() { file.into() } else { format!("{module}/{file}").into() };
    Place { root: root.name, path }
}

/// A target in a configuration.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConfiguredTarget {
    /// Which target.
    pub name: EntityName,
    /// In which configuration.
    pub config: Config,
}

impl fmt::Display for ConfiguredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{}]", self.name.to_json(), self.config.to_label())
    }
}

impl fmt::Debug for ConfiguredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How long the definition of a node may be, and of how many nodes, to be written into a key. What is longer
/// stands for itself only: nobody can make the key from its bytes.
const LONGEST_NODE: usize = 1 << 11;
pub(crate) const MOST_NODES: u32 = 16;

/// How a key begins, in the order of keys.
const ANONYMOUS: u8 = 0;
const NAMED: u8 = 1;
/// Named by texts that need a form of their own, since they contain what separates texts.
const UNUSUAL: u8 = 2;

impl Key for ConfiguredTarget {
    /// The name, by which keys are ordered, then the configuration. Equal keys whose values share their parts
    /// differently have different bytes: then one is merely not found by the other's.
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.name {
            EntityName::Named(named) => {
                let texts = [&named.repository, &named.module, &named.name];
                if texts.iter().any(|text| text.as_bytes().contains(&0)) {
                    out.push(UNUSUAL);
                    let mut encoder = Encoder::new();
                    encoder.named(named);
                    let name = encoder.finish();
                    out.extend((name.len() as u32).to_le_bytes());
                    out.extend(name);
                } else {
                    out.push(NAMED);
                    for text in texts {
                        out.extend(text.as_bytes());
                        out.push(0);
                    }
                    out.push(named.reference as u8);
                }
                if self.config.map().is_empty() {
                    return;
                }
                let mut encoder = Encoder::new();
                let whole = encoder.map(self.config.map());
                out.push(u8::from(whole));
                match whole {
                    true => out.extend(encoder.finish()),
                    false => out.extend(self.config.map().id().0),
                }
            }
            EntityName::Anonymous(anonymous) => {
                out.push(ANONYMOUS);
                out.extend(anonymous.rule_map.id().0);
                out.extend(anonymous.node.id().0);
                out.extend(self.config.map().id().0);
                let mut encoder = Encoder::limited(LONGEST_NODE, MOST_NODES);
                if encoder.name(&self.name) && encoder.map(self.config.map()) {
                    out.extend(encoder.finish());
                }
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<ConfiguredTarget> {
        let (kind, rest) = bytes.split_first()?;
        let (name, rest) = match *kind {
            ANONYMOUS => {
                let mut decoder = Decoder::new(rest.get(96..)?);
                let (name, config) = (decoder.name()?, Config::new(decoder.map()?));
                return decoder.is_done().then_some(ConfiguredTarget { name, config });
            }
            NAMED => {
                let mut parts = rest.splitn(4, |byte| *byte == 0);
                let mut text = || std::str::from_utf8(parts.next()?).ok();
                let (repository, module, name) = (text()?, text()?, text()?);
                let (reference, config) = parts.next()?.split_first()?;
                let reference = ReferenceType::ALL.into_iter().find(|kind| *kind as u8 == *reference)?;
                (NamedTarget::new(repository, module, name).with_reference(reference), config)
            }
            UNUSUAL => {
                let (len, rest) = rest.split_first_chunk::<4>()?;
                let (name, config) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                let mut decoder = Decoder::new(name);
                (decoder.named().filter(|_| decoder.is_done())?, config)
            }
            _ => return None,
        };
        let mut decoder = Decoder::new(rest);
        let config = match rest {
            [] => Config::empty(),
            _ => Config::new(decoder.bool()?.then(|| decoder.map())??),
        };
        decoder.is_done().then_some(ConfiguredTarget { name: name.into(), config })
    }
}

/// Analyses configured targets.
pub struct TargetRule(pub Arc<Workspace>);

impl Rule for TargetRule {
    type Key = ConfiguredTarget;
    type Value = Arc<AnalysedTarget>;
    const NAME: &'static str = "target";

    fn policy(&self, _: &ConfiguredTarget) -> Policy {
        KEPT
    }

    async fn value(&self, target: &ConfiguredTarget, cx: Cx) -> Result<Arc<AnalysedTarget>, Fail> {
        let workspace = &*self.0;
        match &target.name {
            EntityName::Anonymous(anonymous) => user::anonymous(workspace, &cx, target, anonymous).await,
            EntityName::Named(named) => match named.reference {
                ReferenceType::Target => self.named(named, target, &cx).await,
                _ => source::explicit(workspace, &cx, named).await,
            },
        }
        .map(Arc::new)
    }

    fn content_hash(&self, _: &ConfiguredTarget, target: &Arc<AnalysedTarget>) -> Option<Hash> {
        Some(Hash(target.id().0))
    }

    /// All configurations of a target.
    fn kin(&self, target: &ConfiguredTarget) -> Option<u64> {
        target.name.id().0.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A target is the same in all configurations that agree on the variables it depends on.
    fn serves(
        &self,
        target: &ConfiguredTarget,
        other: &ConfiguredTarget,
        analysed: &Arc<AnalysedTarget>,
    ) -> bool {
        target.name == other.name && target.config.agrees_with(&other.config, &analysed.vars)
    }

    fn facets(&self, _: &ConfiguredTarget, target: &Arc<AnalysedTarget>) -> Vec<Hash> {
        facets::of(target)
    }

    fn encode_value(&self, _: &ConfiguredTarget, target: &Arc<AnalysedTarget>) -> Option<Vec<u8>> {
        target.encode()
    }

    fn decode_value(&self, _: &ConfiguredTarget, bytes: &[u8]) -> Option<Arc<AnalysedTarget>> {
        AnalysedTarget::decode(bytes, &self.0).map(Arc::new)
    }
}

impl TargetRule {
    async fn named(
        &self,
        named: &NamedTarget,
        target: &ConfiguredTarget,
        cx: &Cx,
    ) -> Result<AnalysedTarget, Fail> {
        let workspace = &*self.0;
        let repository = workspace.repository(&named.repository)?;
        let module = module_file(&repository.target_root, &named.module, &repository.target_file_name);
        match cx.part(module.clone(), EntryPart(named.name.clone())).await? {
            None => source::implicit(workspace, cx, named, &module).await,
            Some(entry) => {
                let location = entry.location(None);
                defined(workspace, cx, target, named, entry).await.map_err(|failure| {
                    let frame = Frame::of_target(target.to_string()).at(location);
                    settle(failure, |diagnostic| diagnostic.within(frame.clone()))
                })
            }
        }
    }
}

async fn defined(
    workspace: &Workspace,
    cx: &Cx,
    target: &ConfiguredTarget,
    named: &NamedTarget,
    entry: ModuleEntry,
) -> Result<AnalysedTarget, Fail> {
    let name = target.name.to_json();
    let missing = || {
        let message = format!("No type specified in the definition of target {name}");
        let problem = Diagnostic::error(message).at(entry.location(None));
        fail(match entry.json().kind() {
            Kind::Object => problem
                .help("\"type\" names the rule: a built-in one like \"install\", or one of a rules file"),
            _ => problem.help("a target is an object: {\"type\": …}"),
        })
    };
    let kind = entry.json().get("type").ok_or_else(missing)?;
    if let Some(kind) = kind.as_str()
        && let Some(rule) = Builtin::from_name(kind)
    {
        return builtin::evaluate(workspace, cx, target, named, &entry, rule).await;
    }
    let kind: Value = taut_expr::json_to_value(kind);
    let rule = crate::parse_name(&kind, workspace.names(named)).map_err(|why| {
        let mut diagnostic = why.into_diagnostic().at(entry.location(Some("type")));
        diagnostic.help.truncate(usize::from(diagnostic.suggestion.is_none()));
        let form = "the type of a target is the name of a rule";
        fail(diagnostic.note(form))
    })?;
    if rule.reference != ReferenceType::Target {
        let message = format!("{} is no name of a rule", kind.to_json());
        return Err(fail(Diagnostic::error(message).at(entry.location(Some("type")))));
    }
    user::evaluate(workspace, cx, target, named, &entry, &rule).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use taut_value::{AnonymousTarget, Map, Node};

    fn round_trip(name: impl Into<EntityName>, config: Map) -> (ConfiguredTarget, Option<ConfiguredTarget>) {
        let target = ConfiguredTarget { name: name.into(), config: Config::new(config) };
        let mut bytes = Vec::new();
        target.encode(&mut bytes);
        let read = ConfiguredTarget::decode(&bytes);
        (target, read)
    }

    fn config() -> Map {
        [("ARCH", Value::string("x")), ("DEBUG", Value::Bool(true))].into_iter().collect()
    }

    #[test]
    fn keys_of_named_targets_are_read_as_they_were_written() {
        for texts in [["", "", ""], ["r", "a/b", "t"], ["r", "a\0b", "t\0"], ["\0", "m", "ü"]] {
            for reference in ReferenceType::ALL {
                let named = NamedTarget::new(texts[0], texts[1], texts[2]).with_reference(reference);
                for config in [Map::default(), config()] {
                    let (target, read) = round_trip(named.clone(), config);
                    assert_eq!(read, Some(target));
                }
            }
        }
    }

    #[test]
    fn keys_of_anonymous_targets_are_read_unless_their_graph_is_large() {
        let mut node = Node::new_abstract("n".into(), config(), Map::default());
        for level in 1..=MOST_NODES + 1 {
            let rule_map = [("n", Value::string("rule"))].into_iter().collect();
            let name = EntityName::Anonymous(AnonymousTarget { rule_map, node: node.clone() });
            let (target, read) = round_trip(name, config());
            assert_eq!(read, (level <= MOST_NODES).then_some(target));
            let below = Value::list([Value::Node(node)]);
            node = Node::new_abstract("n".into(), Map::default(), [("c", below)].into_iter().collect());
        }
    }
}
