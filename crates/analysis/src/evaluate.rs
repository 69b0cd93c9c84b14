//! Evaluation of configured targets: by the rule that the definition names, or as a source file.

use std::sync::Arc;

use taut_engine::{Cx, Fail, Hash, Policy, Rule};
use taut_syntax::{Diagnostic, Frame, Kind, Node, quoted};
use taut_value::{EntityName, NamedTarget, ReferenceType};

use crate::{
    AnalysedTarget, ConfiguredTarget, EntryPart, Finding, LogLimit, LogLimitRule, ModuleEntry, NameError,
    TargetRule, Workspace, builtin, facets, foreign_names, missing,
    module::KEEP_VALUES,
    parse_json_name,
    problem::{below, fail, fail_unrecorded, once, settle},
    source, user,
    vocabulary::Builtin,
    whole_value::whole_as_read,
    workspace::module_file,
};

impl Rule for TargetRule {
    type Key = ConfiguredTarget;
    type Value = Arc<AnalysedTarget>;
    const NAME: &'static str = "target";

    fn policy(&self, _: &ConfiguredTarget) -> Policy {
        KEEP_VALUES
    }

    async fn value(&self, target: &ConfiguredTarget, cx: Cx) -> Result<Arc<AnalysedTarget>, Fail> {
        let workspace = &*self.0;
        let analysed = match &target.name {
            EntityName::Anonymous(anonymous) => user::anonymous(workspace, &cx, target, anonymous).await,
            EntityName::Named(named) => match named.reference {
                ReferenceType::Target => self.named(named, target, &cx).await,
                _ => source::explicit(workspace, &cx, named).await,
            },
        };
        if analysed.as_ref().map_or(true, |analysed| !analysed.warnings.is_empty()) {
            // Messages contain values shortened to the limit, so they depend on it.
            cx.depend::<LogLimitRule>(LogLimit);
        }
        let analysed = analysed.map_err(|failure| once(failure, || target.to_string()))?;
        for finding in Finding::of(target, &analysed, &workspace.repositories.roots) {
            cx.mention(finding);
        }
        Ok(Arc::new(analysed))
    }

    fn content_hash(&self, _: &ConfiguredTarget, target: &Arc<AnalysedTarget>) -> Option<Hash> {
        // Without the locations of roots, so records are valid in another checkout.
        Some(Hash(target.id(&self.0.repositories.roots).0))
    }

    /// Tasks that may share a value: all configurations of a target.
    fn share_key(&self, target: &ConfiguredTarget) -> Option<u64> {
        // A collision of these 64 bits costs time only: `serves` compares the names.
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
        target.encode(&self.0.repositories.roots)
    }

    fn decode_value(&self, _: &ConfiguredTarget, bytes: &[u8]) -> Option<Arc<AnalysedTarget>> {
        AnalysedTarget::decode(bytes, &self.0.repositories.roots).map(Arc::new)
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
        // Before its files are looked for: that they are missing would be reported as the mistake.
        // A root of the form `["git tree", id]` without a repository: the reference would ask a serve endpoint for
        // it.
        if repository.target_root.source.is_absent() {
            let reference = format!(
                "Root for target {} is absent, but no serve endpoint was configured. Please provide \
                 --remote-serve-address and retry.",
                target.name.to_json()
            );
            let message = format!(
                "The targets of repository {} are in a git tree that is not here: {}",
                quoted(&named.repository),
                repository.target_root.source.shown("").display()
            );
            let help = "name the git repository that has it: [\"git tree\", \"id\", \"path\"]";
            return Err(fail_unrecorded(Diagnostic::error(message).reference(reference).help(help)));
        }
        let module = module_file(&repository.target_root, &named.module, &repository.target_file_name);
        let entry = match cx.part(module.clone(), EntryPart(named.name.clone())).await {
            Err(failure) => {
                let failure = missing::missing_module(workspace, cx, named, &module, failure).await;
                let name = target.name.to_json();
                return Err(below(failure, || format!("While searching targets description for {name}:")));
            }
            Ok(entry) => entry,
        };
        match entry {
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

/// The error about a type of a target that is not a name of a rule. `target`: as the reference names it.
pub fn no_rule_name(why: NameError, entry: &ModuleEntry, kind: Node<'_>, target: &str) -> Diagnostic {
    let step = format!("Parsing rule name {} for target {target} failed with:", whole_as_read(kind));
    let mut diagnostic = why.of_json(kind).below(&step).at(entry.location(Some("type")));
    diagnostic.help.truncate(usize::from(diagnostic.suggestion.is_none()));
    diagnostic.note("the type of a target is the name of a rule")
}

/// The error about a definition without a type; at the key that was probably meant as "type", if there is one.
/// `target`: as the reference names it.
fn no_type(entry: &ModuleEntry, target: &str) -> Diagnostic {
    let problem = Diagnostic::error(format!("No type specified in the definition of target {target}"));
    if entry.json().kind() != Kind::Object {
        return problem.at(entry.location(None)).help("a target is an object: {\"type\": …}");
    }
    match entry.json().entries().find(|(key, _)| foreign_names::is_meant_as_type(key)) {
        Some((key, _)) => {
            let place = entry.key_location(entry.path().key(key));
            problem.at(place).suggest(Some("type"))
        }
        None => problem
            .at(entry.location(None))
            .help("\"type\" names the rule: a built-in one like \"install\", or one of a rules file"),
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
    let kind = entry.json().get("type").ok_or_else(|| fail(no_type(&entry, &name)))?;
    // A single word always means the built-in rule; one of that name in a rules file is written with its module.
    if let Some(kind) = kind.as_str()
        && let Some(rule) = Builtin::from_name(kind)
    {
        return builtin::evaluate(workspace, cx, target, named, &entry, rule).await;
    }
    let rule = parse_json_name(kind, workspace.names(named))
        .map_err(|why| fail(no_rule_name(why, &entry, kind, &name)))?;
    if rule.reference != ReferenceType::Target {
        let message = format!("{} is not the name of a rule", taut_expr::json_to_value(kind).to_json());
        let rule = EntityName::Named(rule).to_json();
        let reference = format!("While looking up rule {rule} for {name}:\n{rule} cannot name a rule");
        return Err(fail(Diagnostic::error(message).reference(reference).at(entry.location(Some("type")))));
    }
    user::evaluate(workspace, cx, target, named, &entry, &rule).await
}
