//! What analysis found, in both voices: diagnostics in their form, and which warnings there are.

use std::{borrow::Cow, collections::HashSet};

use taut_driver::{Diagnostic, Diagnostics, Group, Renderer, Request};
use taut_syntax::{Sources, diagnostic::Author};

use super::{just::Just, taut::Taut};
use crate::{
    log::{Level, Log, layout},
    typed_target,
};

/// The form of diagnostics.
pub(crate) trait FindingTexts {
    /// Writes diagnostics to the log. `sources`: the texts that they point into.
    fn diagnostics(&self, diagnostics: &Diagnostics, sources: &dyn Sources, level: Level, log: &Log);

    /// A text of a diagnostic as it is shown, seen from the repository `main`.
    fn text_of_diagnostic<'t>(&self, text: &'t str, author: Author, main: &str) -> Cow<'t, str>;

    /// Diagnostics of a request, where those about the targets themselves have their names as these words of the
    /// command line have them.
    fn about_words<'d>(
        &self,
        problems: &'d Diagnostics,
        request: &Request,
        words: &[String],
    ) -> Cow<'d, Diagnostics>;

    /// Whether there are warnings that the reference does not have.
    fn has_own_warnings(&self) -> bool;

    /// Whether warnings of analysis are shown in each call, not only in the one that analysed.
    fn repeats_warnings(&self) -> bool;

    /// An action whose inputs are analysed in place of the target.
    fn input_of(&self, action: &str, target: &str) -> String;
}

impl FindingTexts for Just {
    /// Each with the whole chain, and not in groups: that is how the reference prints them.
    fn diagnostics(&self, diagnostics: &Diagnostics, _: &dyn Sources, level: Level, log: &Log) {
        let mut shown: HashSet<String> = HashSet::new();
        for message in diagnostics.referenced().iter().flat_map(Diagnostic::reference_messages) {
            // Steps that several errors have in common are printed once by the reference: its maps
            // report each entry once.
            if message.once.iter().any(|name| shown.contains(name)) {
                continue;
            }
            shown.extend(message.once);
            let level = if message.is_warning { Level::Warn } else { level };
            log.say_of_files(level, message.text);
        }
    }

    fn text_of_diagnostic<'t>(&self, text: &'t str, _: Author, _: &str) -> Cow<'t, str> {
        text.into()
    }

    fn about_words<'d>(&self, problems: &'d Diagnostics, _: &Request, _: &[String]) -> Cow<'d, Diagnostics> {
        Cow::Borrowed(problems)
    }

    fn has_own_warnings(&self) -> bool {
        false
    }

    fn repeats_warnings(&self) -> bool {
        true
    }

    fn input_of(&self, action: &str, target: &str) -> String {
        format!("input of action {action} of target {target}")
    }
}

impl FindingTexts for Taut {
    fn diagnostics(&self, diagnostics: &Diagnostics, sources: &dyn Sources, level: Level, log: &Log) {
        // The renderer lays lines out before the log indents them.
        let columns = log.width().saturating_sub(layout::INDENT);
        let mut colored = renderer(sources, log.color(), log).for_columns(columns);
        let groups = Group::all(diagnostics);
        let groups = match level == Level::Warn && !log.wants(Level::Debug) {
            // Warnings of one kind are one message: the same habit occurs in many files.
            true => Group::without_alike(groups),
            false => groups.into_iter().map(|group| (group, 0)).collect(),
        };
        for (group, others) in groups {
            log.say_of_files(level, colored.render_group(&group));
            if others > 0 {
                log.say(level, format!("{others} more like this one; -v shows all"));
            }
        }
    }

    fn text_of_diagnostic<'t>(&self, text: &'t str, author: Author, main: &str) -> Cow<'t, str> {
        as_under_taut(text, author, main)
    }

    fn about_words<'d>(
        &self,
        problems: &'d Diagnostics,
        request: &Request,
        words: &[String],
    ) -> Cow<'d, Diagnostics> {
        // What is asked for lies in no file.
        let is_of_words = |problem: &Diagnostic| problem.location.is_none();
        if !problems.iter().any(is_of_words) {
            return Cow::Borrowed(problems);
        }
        let shown = |problem: &Diagnostic| match is_of_words(problem) {
            true => typed_target::as_typed(problem.clone(), request, words),
            false => problem.clone(),
        };
        Cow::Owned(problems.iter().map(shown).collect())
    }

    fn has_own_warnings(&self) -> bool {
        true
    }

    fn repeats_warnings(&self) -> bool {
        false
    }

    fn input_of(&self, action: &str, target: &str) -> String {
        format!("target {target}, inputs of action {action}")
    }
}

/// A text as it is under the name `taut`: names of targets as one types them, and one sentence with a small letter and
/// without a full stop. The text of a user keeps its letters.
pub(crate) fn as_under_taut<'t>(text: &'t str, author: Author, main: &str) -> Cow<'t, str> {
    match taut_value::names_as_typed(text, main) {
        text if author == Author::User => text,
        Cow::Borrowed(text) => layout::sentence(text),
        Cow::Owned(text) => layout::sentence(&text).into_owned().into(),
    }
}

/// Shows diagnostics in groups, as seen from the working directory.
pub(crate) fn renderer<'s>(text: &'s dyn Sources, color: bool, log: &Log) -> Renderer<'s> {
    let here = std::env::current_dir().unwrap_or_default();
    let renderer = Renderer::new(text, color).relative_to(&here.to_string_lossy());
    let (main, voice) = (log.names().main(), super::of(log));
    renderer.with_texts(move |text, author| voice.text_of_diagnostic(text, author, &main))
}
