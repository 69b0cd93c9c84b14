//! The constructs that need only their arguments.

use rustc_hash::FxHashSet;
use taut_syntax::{PathStep, quoted};
use taut_value::{JsonMode, List, Map, Str, Value, path};

use super::{
    Evaluated, Evaluator, Frame, argument::Argument, bounds, empty_list, ids, plain, reference, strings,
};
use crate::{
    abbreviate,
    construct::Construct,
    error::{ErrorKind, EvalError},
    program::NONE,
    user_message::UserMessage,
};

impl Evaluator<'_> {
    /// Evaluates the arguments in order and applies the construct.
    pub(super) fn call(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        use Construct as C;
        let argument = |position: usize| Argument::of(construct, args, position);
        let default_text = |text: &'static str| move || Value::string(text);
        Ok(match construct {
            C::And | C::Or => return self.and_or(f, construct, args),
            C::Equal => {
                let first = self.need_named(f, construct, args, 0)?;
                // Each argument is checked before the next one is evaluated, so an error in the second cannot
                // hide one in the first.
                self.comparable(f, argument(0), &first)?;
                let second = self.need_named(f, construct, args, 1)?;
                self.comparable(f, argument(1), &second)?;
                Value::Bool(first == second)
            }
            C::If => {
                let branch =
                    if self.need_named(f, construct, args, 0)?.is_true() { args[1] } else { args[2] };
                return self.or(f, branch, empty_list);
            }
            C::Fail => {
                let message = self.or(f, args[0], || Value::Null)?;
                // Enough for any text that was written by a person, but not for one that grows without bound.
                const MAX_MESSAGE_BYTES: usize = 1 << 16;
                return Err(EvalError::user(&UserMessage::new(&message, MAX_MESSAGE_BYTES)));
            }
            C::Context => return self.context(f, args),
            C::AssertNonEmpty => return self.assert_non_empty(f, args),
            C::DisjointMapUnion => return self.disjoint_map_union(f, args),
            C::Lookup => return self.lookup(f, args),
            C::Index => return self.index(f, args),
            C::EmptyMap => Value::Map(Map::default()),
            C::SingletonMap => {
                let key = self.need_named(f, construct, args, 0)?;
                let value = self.need_named(f, construct, args, 1)?;
                Value::Map([(self.string(f, argument(0), &key)?.clone(), value)].into_iter().collect())
            }
            C::ToSubdir => return self.stage_to_subdir(f, args),
            C::FromSubdir => {
                let stage = self.need(f, construct, args, 0)?;
                let subdir = self.or(f, args[1], default_text("."))?;
                // In the order in which the reference checks them.
                let subdir = self.string(f, argument(1), &subdir)?;
                from_subdir(self.map(f, argument(0), &stage)?, subdir)?
            }
            C::ChangeEnding => return self.change_ending(f, args),
            C::Join => return self.join(f, args),
            C::JoinCmd => return self.join_command(f, args),
            C::JsonEncode => return self.json_encode(f, args),
            C::EscapeChars => return self.escape_chars(f, args),
            C::ConcatTargetName => return self.concat_target_name(f, args),
            C::ZipMap => return self.zip_map(f, args),
            C::Not
            | C::Flatten
            | C::Add
            | C::Multiply
            | C::NubRight
            | C::NubLeft
            | C::Range
            | C::Basename
            | C::Keys
            | C::Values
            | C::Enumerate
            | C::Set
            | C::Reverse
            | C::Length
            | C::MapUnion => {
                let value = self.need_named(f, construct, args, 0)?;
                let result = self.unary(f, construct, argument(0), &value);
                result.map_err(|error| error.step(|| self.having_evaluated(&value)))?
            }
            _ => return self.contextual(f, construct, args),
        })
    }

    /// `and` and `or` of a list.
    fn and_or(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(construct, args, position);
        let and = construct == Construct::And;
        // The neutral element: all of nothing is true, some of nothing is false.
        if args[0] == NONE {
            return Ok(Value::Bool(and));
        }
        let items = self.need_named(f, construct, args, 0)?;
        let mut items = self
            .list(f, argument(0), &items)
            .map_err(|error| error.step(|| self.having_evaluated(&items)))?
            .iter();
        Ok(Value::Bool(if and { items.all(Value::is_true) } else { items.any(Value::is_true) }))
    }

    /// The argument, which must not be empty.
    fn assert_non_empty(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let value = self.need(f, Construct::AssertNonEmpty, args, 0)?;
        match &value {
            Value::String(_) | Value::List(_) | Value::Map(_) if value.is_true() => Ok(value),
            _ => {
                let message = self.message(f, args[1]);
                let found = abbreviate(&value, self.limit);
                let text = format!("\nit must not be empty, but is {found}");
                let found = reference::shown(&value);
                let reference = format!("\nExpected non-empty value but found: {found}");
                Err(EvalError::user_with(&message, &text, &reference))
            }
        }
    }

    /// An entry of a map, or the default.
    fn lookup(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::Lookup, args, position);
        let key = self.need(f, Construct::Lookup, args, 0)?;
        let map = self.need(f, Construct::Lookup, args, 1)?;
        let key = self.string(f, argument(0), &key)?;
        let map = self.map(f, argument(1), &map)?;
        match map.get(key) {
            // A null counts as absent here, so the default applies.
            Some(value) if !matches!(value, Value::Null) => Ok(value.clone()),
            _ => {
                let keys = map.keys().map(|key| key.as_str());
                self.or_meant(f, args[2], key, keys, || Value::Null)
            }
        }
    }

    /// An item of a list, or the default.
    fn index(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::Index, args, position);
        let index = self.need(f, Construct::Index, args, 0)?;
        let list = self.need(f, Construct::Index, args, 1)?;
        let list = self.list(f, argument(1), &list)?;
        // Strings are accepted as indices and anything else counts as 0, as in the reference.
        let index = match &index {
            // A cast from a float saturates, so an index of any size is out of range and no error of its own.
            Value::Number(number) => number.round() as i64,
            Value::String(text) => strings::leading_integer(text),
            _ => 0,
        };
        // Negative indices count from the end.
        let position = if index < 0 { index + list.len() as i64 } else { index };
        match usize::try_from(position).ok().and_then(|position| list.get(position)) {
            Some(value) => Ok(value.clone()),
            None => self.or(f, args[2], || Value::Null),
        }
    }

    /// A path with another ending.
    fn change_ending(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::ChangeEnding, args, position);
        let default_text = |text: &'static str| move || Value::string(text);
        let name = self.or(f, args[0], default_text(""))?;
        let ending = self.or(f, args[1], default_text(""))?;
        let name = self.string(f, argument(0), &name)?;
        let ending = self.string(f, argument(1), &ending)?;
        // Before the string is made: a text that is doubled again and again would exhaust memory within a few
        // dozen steps.
        bounds::string(STRING_SUBJECT, [name.len(), ending.len()])?;
        Ok(Value::string(path::change_ending(name, ending)))
    }

    /// Strings with a separator between them.
    fn join(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::Join, args, position);
        let list = self.or(f, args[0], empty_list)?;
        let separator = self.or(f, args[1], || Value::string(""))?;
        let separator = self.string(f, argument(1), &separator)?;
        let words = self.list_of(f, argument(0), "a list of strings", &list, Value::as_str)?;
        bounds::string(STRING_SUBJECT, words.iter().map(|word| word.len() + separator.len()))?;
        Ok(Value::string(strings::join(words.iter().copied(), separator)))
    }

    /// Words, quoted for a shell.
    fn join_command(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::JoinCmd, args, position);
        let list = self.or(f, args[0], empty_list)?;
        let words = self.strings(f, argument(0), &list)?;
        // A lower bound by the lengths alone; the exact check below reads all words.
        bounds::string(STRING_SUBJECT, words.iter().map(|word| word.len() + 3))?;
        // A quotation mark becomes four characters.
        let quoted = |word: &Str| word.len() + 3 * word.matches('\'').count() + 3;
        bounds::string(STRING_SUBJECT, words.iter().map(quoted))?;
        Ok(Value::string(strings::join_quoted(&words)))
    }

    /// A value as JSON.
    fn json_encode(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let value = self.or(f, args[0], empty_list)?;
        const MIN_CHECKED_BYTES: usize = 1 << 16;
        // Nearly all texts are short, and are written without measuring them first.
        Ok(match value.to_json_mode_within(JsonMode::PlainOnly, MIN_CHECKED_BYTES) {
            Some(text) => Value::string(text),
            None => {
                bounds::json(STRING_SUBJECT, &value)?;
                Value::string(value.to_json_mode(JsonMode::PlainOnly))
            }
        })
    }

    /// A text with a prefix before some characters.
    fn escape_chars(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::EscapeChars, args, position);
        let default_text = |text: &'static str| move || Value::string(text);
        let text = self.or(f, args[0], default_text(""))?;
        let chars = self.or(f, args[1], default_text(""))?;
        let prefix = self.or(f, args[2], default_text("\\"))?;
        let text = self.string(f, argument(0), &text)?;
        // Evaluated only when it is needed, as in the reference, so an empty text hides its errors.
        if text.is_empty() {
            return Ok(Value::string(""));
        }
        let chars = self.string(f, argument(1), &chars)?;
        match text.chars().any(|c| chars.contains(c)) {
            false => Ok(Value::String(text.clone())),
            true => {
                let prefix = self.string(f, argument(2), &prefix)?;
                let escaped = text.chars().filter(|c| chars.contains(*c)).map(|_| prefix.len());
                bounds::string(STRING_SUBJECT, escaped.chain([text.len()]))?;
                Ok(Value::string(strings::escape(text, chars, prefix)))
            }
        }
    }

    /// A target name with a text behind it.
    fn concat_target_name(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::ConcatTargetName, args, position);
        let default_text = |text: &'static str| move || Value::string(text);
        let name = self.or(f, args[0], default_text(""))?;
        let append = self.or(f, args[1], default_text(""))?;
        let append = match &append {
            Value::String(text) => text.to_string(),
            Value::List(_) => {
                let words = self.strings(f, argument(1), &append)?;
                bounds::string(STRING_SUBJECT, words.iter().map(|word| word.len()))?;
                strings::join(&words, "")
            }
            other => return Err(self.wrong_kind(f, argument(1), "a list of strings or a single one", other)),
        };
        let last = name.as_str().or(name.as_list().and_then(|words| words.last()?.as_str()));
        bounds::string(STRING_SUBJECT, [append.len(), last.map_or(0, |word| word.len())])?;
        strings::concat_target_name(&name, &append).ok_or_else(|| {
            self.wrong_kind(f, argument(0), "a target name: a string or a list of strings", &name)
        })
    }

    /// A map from a list of keys and one of values.
    fn zip_map(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::ZipMap, args, position);
        let keys = self.or(f, args[0], empty_list)?;
        let keys = self.list(f, argument(0), &keys)?;
        // As in `zip_with`: the other list is not evaluated, so its errors do not come up.
        if keys.is_empty() {
            return Ok(Value::Map(Map::default()));
        }
        let values = self.or(f, args[1], empty_list)?;
        let mut entries = Vec::with_capacity(keys.len());
        let pairs = keys.iter().zip(self.list(f, argument(1), &values)?.iter());
        for (index, (key, value)) in pairs.enumerate() {
            let step = PathStep::Index(index as u32);
            let key = key.as_str();
            let key = key.ok_or_else(|| {
                let whole = Value::List(keys.clone());
                self.wrong_item_kind(f, argument(0), "a list of strings", &whole, &step, &keys[index])
            })?;
            entries.push((key.clone(), value.clone()));
        }
        Ok(Value::Map(Map::from_entries(entries)))
    }

    fn comparable(&self, f: Frame<'_>, argument: Argument<'_>, value: &Value) -> Result<(), EvalError> {
        if value.is_name_free() {
            return Ok(());
        }
        let found = self.shown(value);
        let message = format!("Comparison of name-containing values; {argument} is {found}");
        let which = if argument.name == "$1" { "first" } else { "second" };
        let whole = reference::shown(value);
        let reference = format!("Comparison of name-containing values; {which} argument is {whole}");
        Err(EvalError::plain(message).reference(reference).at(self.place(f, argument.node)).help(NAMES_HELP))
    }

    fn unary(&self, f: Frame<'_>, construct: Construct, at: Argument<'_>, argument: &Value) -> Evaluated {
        use Construct as C;
        let list = || self.list(f, at, argument);
        Ok(match construct {
            C::Not => Value::Bool(!argument.is_true()),
            C::Flatten => {
                let lists = self.list_of(f, at, "a list of lists", argument, Value::as_list)?;
                bounds::items("the list", lists.iter().map(|list| list.len()))?;
                Value::List(lists.into_iter().flat_map(|list| list.iter().cloned()).collect())
            }
            // The sum starts with 0.0, since Rust's `sum` of nothing is -0.0, which would be printed with its sign.
            C::Add | C::Multiply => {
                let number = |item: &Value| match item {
                    Value::Number(number) => Some(*number),
                    _ => None,
                };
                let numbers = self.list_of(f, at, "a list of numbers", argument, number);
                let is_other =
                    |list: &List| list.iter().any(|item| matches!(item, Value::String(_) | Value::List(_)));
                let numbers = numbers.map_err(|error| {
                    match construct == C::Add && argument.as_list().is_some_and(is_other) {
                        true => error.help("\"join\" joins strings, and \"++\" lists"),
                        false => error,
                    }
                })?;
                Value::Number(if construct == C::Add {
                    numbers.iter().fold(0.0, |sum, number| sum + number)
                } else {
                    numbers.iter().product()
                })
            }
            C::NubRight | C::NubLeft => {
                let items = list()?;
                if !argument.is_name_free() {
                    let (name, shown) = (construct.name(), self.shown(argument));
                    let message =
                        format!("Implicit comparison by passing name-containing value to {name}: {shown}");
                    let whole = reference::shown(argument);
                    let reference =
                        format!("Implicit comparison by passing name-containing value to {name}: {whole}");
                    return Err(EvalError::plain(message)
                        .reference(reference)
                        .at(self.place(f, at.node))
                        .help(NAMES_HELP));
                }
                // Ids are hashes, so a fast hasher distributes them well.
                let mut seen = FxHashSet::default();
                let mut first = |(id, item): (_, &Value)| seen.insert(id).then(|| item.clone());
                if construct == C::NubLeft {
                    Value::List(ids(items).filter_map(first).collect())
                } else {
                    let mut kept: Vec<Value> = ids(items).rev().filter_map(&mut first).collect();
                    kept.reverse();
                    Value::List(kept.into())
                }
            }
            C::Range => strings::range(argument)?,
            C::Basename => Value::string(path::basename(self.string(f, at, argument)?)),
            C::Keys => self.map(f, at, argument)?.keys().cloned().map(Value::String).collect::<List>().into(),
            C::Values => self.map(f, at, argument)?.values().cloned().collect::<List>().into(),
            C::Enumerate => {
                let items = list()?;
                let entries = items.iter().enumerate();
                // Ten digits: the byte order of the keys is that of the numbers, for as many items as a list can have.
                Value::Map(entries.map(|(i, item)| (format!("{i:010}"), item.clone())).collect())
            }
            C::Set => {
                let words = self.strings(f, at, argument)?;
                Value::Map(words.into_iter().map(|word| (word, Value::Bool(true))).collect())
            }
            C::Reverse => list()?.iter().rev().cloned().collect::<List>().into(),
            C::Length => Value::Number(list()?.len() as f64),
            C::MapUnion => {
                let maps = self.maps(f, at, argument)?;
                Value::Map(union(maps, false, self.limit)?)
            }
            other => unreachable!("{} is not unary", other.name()),
        })
    }

    /// A list of maps, as the list that it is.
    fn maps<'v>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        value: &'v Value,
    ) -> Result<&'v [Value], EvalError> {
        match value.as_list() {
            Some(list) if list.iter().all(|item| item.as_map().is_some()) => Ok(list.as_slice()),
            // Reports the error.
            _ => self.list_of(f, argument, "a list of maps", value, Value::as_map).map(|_| [].as_slice()),
        }
    }

    fn context(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let locals = self.locals.len();
        let mut error = match self.or(f, args[0], || Value::Null) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // An error leaves the stack of bound variables as deep as it was at the failure; the
        // message is evaluated outside of these.
        self.locals.truncate(locals);
        let message = match args[1] {
            // For this, the reference evaluates `{}`, which is not an expression.
            NONE => UserMessage::not_evaluating("{}"),
            node => self.message(f, node),
        };
        // The steps so far become part of this text, so they are removed below.
        let reference = format!("In Context {}\n{}", message.quoted, error.in_reference());
        let data = error.data();
        data.reference = Some(reference);
        data.steps.clear();
        data.message = format!("{}\n{}", message.plain, data.message);
        // From here on the message is for the user of the rule, and frames of expressions are no longer added.
        data.kind = ErrorKind::User;
        data.traced = false;
        Err(error)
    }

    fn disjoint_map_union(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = self.need_named(f, Construct::DisjointMapUnion, args, 0)?;
        if !argument.is_name_free() {
            let found = self.shown(&argument);
            let message = format!("Argument to disjoint_map_union is name-containing: {found}");
            let whole = reference::shown(&argument);
            let reference = format!("Argument to disjoint_map_union is name-containing: {whole}");
            return Err(EvalError::plain(message)
                .reference(reference)
                .at(self.place(f, args[0]))
                .help(NAMES_HELP));
        }
        let maps = self.maps(f, Argument::of(Construct::DisjointMapUnion, args, 0), &argument);
        let error = match maps.and_then(|maps| union(maps, true, self.limit)) {
            Ok(map) => return Ok(Value::Map(map)),
            Err(error) => error,
        };
        if args[1] == NONE {
            return Err(error.step(|| self.having_evaluated(&argument)));
        }
        let message = self.message(f, args[1]);
        let reference = format!(
            "\nUnderlying {}\nThe argument of the union was {}",
            error.in_reference(),
            argument.to_json_abbreviated(self.limit)
        );
        let mut wrapped = EvalError::user_with(&message, &format!("\n{}", error.message), &reference);
        wrapped.data().involved = error.involved.clone();
        wrapped.data().annotated = error.annotated;
        Err(wrapped)
    }

    fn stage_to_subdir(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let stage = self.need(f, Construct::ToSubdir, args, 0)?;
        let subdir = self.or(f, args[1], || Value::string("."))?;
        let flat = self.or(f, args[2], || Value::Bool(false))?.is_true();
        let argument = |position| Argument::of(Construct::ToSubdir, args, position);
        let subdir = self.string(f, argument(1), &subdir)?;
        let map = self.map(f, argument(0), &stage)?;
        bounds::string("all paths together", map.keys().map(|path| path.len() + subdir.len() + 1))?;
        // Without `flat` no two normal paths become equal, so no conflict has to be looked for.
        if !flat && let Some(result) = below(map, subdir) {
            return Ok(Value::Map(result));
        }
        let mut entries: Vec<(Str, Value)> = Vec::with_capacity(map.len());
        for (key, value) in map.iter() {
            let name = if flat { path::basename(key) } else { key };
            entries.push((path::normal_path(&path::join(subdir, name)).into(), value.clone()));
        }
        // Only called for a conflict: it finds again which old paths lead to the new one.
        let at_new_path = |key: &Str| {
            let old = map.iter().filter(move |(old, _)| {
                let name = if flat { path::basename(old) } else { old };
                path::normal_path(&path::join(subdir, name)) == key.as_str()
            });
            old.map(|(old, value)| (format!("{}", quoted(&old)), value.clone())).collect::<Vec<_>>()
        };
        let (conflict, result) = unite(entries);
        let Some(key) = conflict else { return Ok(Value::Map(result)) };
        let argument = abbreviate(&stage, self.limit);
        if args[3] == NONE {
            let word = if flat { "Flat staging" } else { "Staging" };
            let message = format!("{word} to subdir {subdir} conflicts on path {key}");
            let whole = reference::shown(&stage);
            let reference = format!("{word} of {whole} to subdir {subdir} conflicts on path {key}");
            let mut error = EvalError::plain(message).reference(reference);
            error.data().involved = at_new_path(&key);
            let names: Vec<&str> = error.involved.iter().map(|(name, _)| name.as_str()).collect();
            let names = names.join(" and ");
            return Err(error.help(format!("{names} would have the same place")));
        }
        let message = self.message(f, args[3]);
        let involved = at_new_path(&key);
        let whole = reference::shown(&stage);
        let (way, new, word) =
            if flat { ("flat staging", "", "flatly stage") } else { ("staging", "new ", "stage") };
        let details =
            format!("\n{way} to subdir {subdir} conflicts on path {key}\nthe staged map is {argument}");
        let reference = format!(
            "\nReason: {way} to subdir {subdir} conflicts on {new}path {key}\nMap to {word} was {whole}\n"
        );
        let mut error = EvalError::user_with(&message, &details, &reference);
        error.data().involved = involved;
        Err(error)
    }
}

/// The subject of messages about strings that are too long.
const STRING_SUBJECT: &str = "the string";

/// Why names cannot be compared.
const NAMES_HELP: &str = "a target's name means nothing without its configuration, so names are never equal";

/// A stage below a directory, if all paths are normal: then they stay different and in order. `None` if not.
fn below(stage: &Map, directory: &str) -> Option<Map> {
    if !stage.keys().all(|path| path::is_normal(path)) {
        return None;
    }
    if directory == "." {
        return Some(stage.clone());
    }
    if !path::is_normal(directory) {
        return None;
    }
    let mut path = format!("{directory}/");
    let entries = stage.iter().map(|(key, value)| {
        path.truncate(directory.len() + 1);
        path.push_str(key);
        (Str::from(path.as_str()), value.clone())
    });
    Some(Map::from_entries(entries.collect()))
}

fn from_subdir(stage: &Map, subdir: &Str) -> Evaluated {
    let mut entries: Vec<(Str, Value)> = Vec::new();
    for (key, value) in stage.iter() {
        // As in the reference, a path that is not below the directory ends at the directory itself.
        let relative = path::normal_path(&path::relative(key, subdir).unwrap_or_default());
        if path::is_non_upwards(&relative) {
            entries.push((relative.into(), value.clone()));
        }
    }
    match unite(entries) {
        (None, map) => Ok(Value::Map(map)),
        (Some(key), _) => plain(format!("Staging conflict for path {}", Value::String(key).to_json())),
    }
}

/// The entries as a map, and the first key with different values. Of equal values either may be taken.
fn unite(entries: Vec<(Str, Value)>) -> (Option<Str>, Map) {
    let mut seen: rustc_hash::FxHashMap<&Str, &Value> = rustc_hash::FxHashMap::default();
    let mut conflict = None;
    for (key, value) in &entries {
        if let Some(other) = seen.insert(key, value)
            // Values that contain names are never equal, so they conflict even with themselves.
            && !(value.is_name_free() && other == value)
        {
            conflict = Some(key.clone());
            break;
        }
    }
    (conflict, Map::from_entries(entries))
}

/// The union of maps, later ones over earlier ones, by halves, so that each entry is copied a logarithmic number of
/// times.
fn union(maps: &[Value], disjoint: bool, limit: usize) -> Result<Map, EvalError> {
    match maps {
        [] => Ok(Map::default()),
        [Value::Map(map)] => Ok(map.clone()),
        [_] => unreachable!("the list is one of maps"),
        _ => {
            let (left, right) = maps.split_at(maps.len() / 2);
            let (left, right) = (union(left, disjoint, limit)?, union(right, disjoint, limit)?);
            // The same object in place of a copy.
            if left.is_empty() {
                return Ok(right);
            }
            if right.is_empty() {
                return Ok(left);
            }
            bounds::items("the map", [left.len(), right.len()])?;
            if !disjoint {
                return Ok(left.union(&right));
            }
            left.disjoint_union(&right).map_err(|(key, a, b)| {
                let error = EvalError::plain(format!(
                    "two maps of a disjoint union have different values for {}:\n- {}\n- {}",
                    Value::String(key.clone()).to_json(),
                    abbreviate(a, limit),
                    abbreviate(b, limit)
                ))
                .reference(format!(
                    "Map union not essentially disjoint as claimed, duplicate key {}; conflicting values:\n- {}\n- {}",
                    Value::String(key.clone()).to_json(),
                    a.to_json_abbreviated(limit),
                    b.to_json_abbreviated(limit)
                ));
                let mut error = error.involving("the first value", a).involving("the second value", b);
                error.data().annotated = true;
                error
            })
        }
    }
}
