//! The constructs that need nothing but their arguments.

use rustc_hash::FxHashSet;
use taut_value::{JsonMode, List, Map, Str, Value};

use super::{Evaluated, Evaluator, Frame, empty_list, ids, list_of, map_of, plain, string_of, strings};
use crate::{
    abbreviate,
    construct::Construct,
    error::{ErrorKind, EvalError},
    path,
    program::NONE,
};

impl Evaluator<'_> {
    /// Evaluates the arguments in order and applies the construct.
    pub(super) fn call(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        use Construct as C;
        let default_text = |text: &'static str| move || Value::string(text);
        Ok(match construct {
            C::And | C::Or => {
                let and = construct == C::And;
                if args[0] == NONE {
                    return Ok(Value::Bool(and));
                }
                let items = self.eval(f, args[0])?;
                let mut items = list_of(&items)?.iter();
                Value::Bool(if and { items.all(Value::is_true) } else { items.any(Value::is_true) })
            }
            C::Equal => {
                let first = self.need(f, construct, args, 0)?;
                self.comparable(&first, "first")?;
                let second = self.need(f, construct, args, 1)?;
                self.comparable(&second, "second")?;
                Value::Bool(first == second)
            }
            C::If => {
                let branch = if self.need(f, construct, args, 0)?.is_true() { args[1] } else { args[2] };
                return self.or(f, branch, empty_list);
            }
            C::Fail => {
                let message = self.or(f, args[0], || Value::Null)?;
                return Err(EvalError::user(message.to_json()));
            }
            C::Context => return self.context(f, args),
            C::AssertNonEmpty => {
                let value = self.need(f, construct, args, 0)?;
                match &value {
                    Value::String(_) | Value::List(_) | Value::Map(_) if value.is_true() => value,
                    _ => {
                        let message = self.message(f, args[1]);
                        let found = abbreviate(&value, self.limit);
                        let text = format!("{message}\nExpected non-empty value but found: {found}");
                        return Err(EvalError::user(text));
                    }
                }
            }
            C::DisjointMapUnion => return self.disjoint_map_union(f, args),
            C::Lookup => {
                let key = self.need(f, construct, args, 0)?;
                let map = self.need(f, construct, args, 1)?;
                let Value::String(key) = &key else {
                    let found = abbreviate(&key, self.limit);
                    return plain(format!("Key expected to be string but found {found}."));
                };
                let Value::Map(map) = &map else {
                    let found = abbreviate(&map, self.limit);
                    return plain(format!("Map expected to be mapping but found {found}."));
                };
                match map.get(key) {
                    Some(value) if !matches!(value, Value::Null) => value.clone(),
                    _ => return self.or(f, args[2], || Value::Null),
                }
            }
            C::Index => {
                let index = self.need(f, construct, args, 0)?;
                let list = self.need(f, construct, args, 1)?;
                let Value::List(list) = &list else {
                    let found = abbreviate(&list, self.limit);
                    return plain(format!("List expected to be list, but found {found}."));
                };
                let index = match &index {
                    Value::Number(number) => number.round() as i64,
                    Value::String(text) => strings::leading_integer(text),
                    _ => 0,
                };
                let position = if index < 0 { index + list.len() as i64 } else { index };
                match usize::try_from(position).ok().and_then(|position| list.get(position)) {
                    Some(value) => value.clone(),
                    None => return self.or(f, args[2], || Value::Null),
                }
            }
            C::EmptyMap => Value::Map(Map::default()),
            C::SingletonMap => {
                let key = self.need(f, construct, args, 0)?;
                let value = self.need(f, construct, args, 1)?;
                Value::Map([(string_of(&key)?.clone(), value)].into_iter().collect())
            }
            C::ToSubdir => return self.stage_to_subdir(f, args),
            C::FromSubdir => {
                let stage = self.need(f, construct, args, 0)?;
                let subdir = self.or(f, args[1], default_text("."))?;
                from_subdir(map_of_after(&stage, &subdir)?, string_of(&subdir)?)?
            }
            C::ChangeEnding => {
                let name = self.or(f, args[0], default_text(""))?;
                let ending = self.or(f, args[1], default_text(""))?;
                Value::string(path::change_ending(string_of(&name)?, string_of(&ending)?))
            }
            C::Join => {
                let list = self.or(f, args[0], empty_list)?;
                let separator = self.or(f, args[1], default_text(""))?;
                strings::join(&list, string_of(&separator)?, false, false, self.limit)?
            }
            C::JoinCmd => {
                let list = self.or(f, args[0], empty_list)?;
                strings::join(&list, " ", true, false, self.limit)?
            }
            C::JsonEncode => {
                Value::string(self.or(f, args[0], empty_list)?.to_json_mode(JsonMode::PlainOnly))
            }
            C::EscapeChars => {
                let text = self.or(f, args[0], default_text(""))?;
                let chars = self.or(f, args[1], default_text(""))?;
                let prefix = self.or(f, args[2], default_text("\\"))?;
                strings::escape(string_of(&text)?, &chars, &prefix)?
            }
            C::ConcatTargetName => {
                let name = self.or(f, args[0], default_text(""))?;
                let append = self.or(f, args[1], default_text(""))?;
                let append = strings::join(&append, "", false, true, self.limit)?;
                strings::concat_target_name(&name, string_of(&append)?, self.limit)?
            }
            C::ZipMap => {
                let keys = self.or(f, args[0], empty_list)?;
                let keys = list_of(&keys)?;
                if keys.is_empty() {
                    return Ok(Value::Map(Map::default()));
                }
                let values = self.or(f, args[1], empty_list)?;
                let mut entries = Vec::with_capacity(keys.len());
                for (key, value) in keys.iter().zip(list_of(&values)?.iter()) {
                    entries.push((string_of(key)?.clone(), value.clone()));
                }
                Value::Map(Map::from_entries(entries))
            }
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
                let argument = self.need(f, construct, args, 0)?;
                self.unary(construct, argument)?
            }
            _ => return self.contextual(f, construct, args),
        })
    }

    fn comparable(&self, value: &Value, which: &str) -> Result<(), EvalError> {
        if value.is_name_free() {
            return Ok(());
        }
        let found = abbreviate(value, self.limit);
        plain(format!("Comparison of name-containing values; {which} argument is {found}"))
    }

    fn unary(&self, construct: Construct, argument: Value) -> Evaluated {
        use Construct as C;
        let shown = |value: &Value| abbreviate(value, self.limit);
        let list = |problem: &str| match &argument {
            Value::List(list) => Ok(list),
            other => plain(format!("{problem}: {}.", shown(other))),
        };
        Ok(match construct {
            C::Not => Value::Bool(!argument.is_true()),
            C::Flatten => {
                let lists = list("Flatten expects list but instead got")?;
                let mut all = Vec::new();
                for item in lists.iter() {
                    let Value::List(item) = item else {
                        let found = shown(item);
                        return plain(format!("Non-list entry found for argument in flatten: {found}."));
                    };
                    all.extend(item.iter().cloned());
                }
                Value::List(all.into())
            }
            C::Add | C::Multiply => {
                let word = if construct == C::Add { "addition" } else { "multiplication" };
                let problem = if construct == C::Add { "Addition" } else { "Multiplication" };
                let mut result = if construct == C::Add { 0.0 } else { 1.0 };
                for item in list(&format!("{problem} expects a list, but found"))?.iter() {
                    let Value::Number(number) = item else {
                        let found = shown(item);
                        return plain(format!("Non-number entry found for argument to {word}: {found}"));
                    };
                    if construct == C::Add {
                        result += number;
                    } else {
                        result *= number;
                    }
                }
                Value::Number(result)
            }
            C::NubRight | C::NubLeft => {
                let items = list(&format!("{} expects list but instead got", construct.name()))?;
                if !argument.is_name_free() {
                    let problem = "Implicit comparison by passing name-containing value to";
                    return plain(format!("{problem} {}: {}", construct.name(), shown(&argument)));
                }
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
            C::Range => strings::range(&argument)?,
            C::Basename => Value::string(path::basename(string_of(&argument)?)),
            C::Keys => map_of(&argument)?.keys().cloned().map(Value::String).collect::<List>().into(),
            C::Values => map_of(&argument)?.values().cloned().collect::<List>().into(),
            C::Enumerate => {
                let items = list("enumerate expects list but instead got")?;
                let entries = items.iter().enumerate();
                Value::Map(entries.map(|(i, item)| (format!("{i:010}"), item.clone())).collect())
            }
            C::Set => {
                let mut entries: Vec<(Str, Value)> = Vec::new();
                for item in list("set expects list of strings but instead got")?.iter() {
                    let Value::String(item) = item else {
                        return plain(format!("set expects list of strings found entry: {}.", shown(item)));
                    };
                    entries.push((item.clone(), Value::Bool(true)));
                }
                Value::Map(Map::from_entries(entries))
            }
            C::Reverse => {
                list("reverse expects list but instead got")?.iter().rev().cloned().collect::<List>().into()
            }
            C::Length => Value::Number(list("length expects list but instead got")?.len() as f64),
            C::MapUnion => {
                let maps = list("Union expects list of maps but got")?;
                Value::Map(union(maps, false, self.limit)?)
            }
            other => unreachable!("{} is not unary", other.name()),
        })
    }

    fn context(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let locals = self.locals.len();
        let mut error = match self.or(f, args[0], || Value::Null) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        self.locals.truncate(locals);
        let message = match args[1] {
            // What the language evaluates then is `{}`, which is no expression.
            NONE => "[non evaluating term] {}".into(),
            node => self.message(f, node),
        };
        let data = error.data();
        data.message = format!("In Context {message}\n{}", data.message);
        data.kind = ErrorKind::User;
        data.traced = false;
        Err(error)
    }

    fn disjoint_map_union(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = self.need(f, Construct::DisjointMapUnion, args, 0)?;
        if !argument.is_name_free() {
            let found = abbreviate(&argument, self.limit);
            return plain(format!("Argument to disjoint_map_union is name-containing: {found}"));
        }
        let error = match &argument {
            Value::List(maps) => match union(maps, true, self.limit) {
                Ok(map) => return Ok(Value::Map(map)),
                Err(error) => error,
            },
            other => {
                let found = abbreviate(other, self.limit);
                EvalError::plain(format!("Union expects list of maps but got: {found}."))
            }
        };
        if args[1] == NONE {
            return Err(error);
        }
        let message = self.message(f, args[1]);
        let argument = abbreviate(&argument, self.limit);
        let mut wrapped = EvalError::user(format!(
            "{message}\nUnderlying EvaluationError: {}\nThe argument of the union was {argument}",
            error.message
        ));
        wrapped.data().involved = error.involved.clone();
        Err(wrapped)
    }

    fn stage_to_subdir(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let stage = self.need(f, Construct::ToSubdir, args, 0)?;
        let subdir = self.or(f, args[1], || Value::string("."))?;
        let flat = self.or(f, args[2], || Value::Bool(false))?.is_true();
        let subdir = string_of(&subdir)?;
        let map = map_of(&stage)?;
        let mut entries: Vec<(Str, Value)> = Vec::with_capacity(map.len());
        for (key, value) in map.iter() {
            let name = if flat { path::basename(key) } else { key };
            entries.push((path::normal_path(&path::join(subdir, name)).into(), value.clone()));
        }
        let (conflict, result) = unite(entries);
        let Some(key) = conflict else { return Ok(Value::Map(result)) };
        let argument = abbreviate(&stage, self.limit);
        if args[3] == NONE {
            let word = if flat { "Flat staging" } else { "Staging" };
            return plain(format!("{word} of {argument} to subdir {subdir} conflicts on path {key}"));
        }
        let message = self.message(f, args[3]);
        Err(EvalError::user(if flat {
            format!(
                "{message}\nReason: flat staging to subdir {subdir} conflicts on path {key}\n\
                 Map to flatly stage was {argument}"
            )
        } else {
            format!(
                "{message}\nReason: staging to subdir {subdir} conflicts on new path {key}\n\
                 Map to stage was {argument}"
            )
        }))
    }
}

/// The map, after the other argument's type has been found right; the order in which the reference
/// looks at them.
fn map_of_after<'v>(stage: &'v Value, subdir: &Value) -> Result<&'v Map, EvalError> {
    string_of(subdir)?;
    map_of(stage)
}

fn from_subdir(stage: &Map, subdir: &Str) -> Evaluated {
    let mut entries: Vec<(Str, Value)> = Vec::new();
    for (key, value) in stage.iter() {
        // What has no way from the directory ends at the directory itself, as the reference has it.
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

/// The entries as a map, and the first key at which different values meet. Of equal values either is
/// right.
fn unite(entries: Vec<(Str, Value)>) -> (Option<Str>, Map) {
    let mut seen: rustc_hash::FxHashMap<&Str, &Value> = rustc_hash::FxHashMap::default();
    let mut conflict = None;
    for (key, value) in &entries {
        if let Some(other) = seen.insert(key, value)
            && !(value.is_name_free() && other == value)
        {
            conflict = Some(key.clone());
            break;
        }
    }
    (conflict, Map::from_entries(entries))
}

/// The union of maps, later ones over earlier ones, by halves, so that no entry is copied more often
/// than the list can be halved.
fn union(maps: &[Value], disjoint: bool, limit: usize) -> Result<Map, EvalError> {
    match maps {
        [] => Ok(Map::default()),
        [Value::Map(map)] => Ok(map.clone()),
        [other] => plain(format!("Map union list element is not a map: {}", abbreviate(other, limit))),
        _ => {
            let (left, right) = maps.split_at(maps.len() / 2);
            let (left, right) = (union(left, disjoint, limit)?, union(right, disjoint, limit)?);
            if left.is_empty() {
                return Ok(right);
            }
            if right.is_empty() {
                return Ok(left);
            }
            if disjoint && let Some((key, a, b)) = conflict(&left, &right) {
                let mut error = EvalError::plain(format!(
                    "Map union not essentially disjoint as claimed, duplicate key {}; conflicting values:\n- {}\n- {}",
                    Value::String(key.clone()).to_json(),
                    abbreviate(a, limit),
                    abbreviate(b, limit)
                ));
                error.data().involved = vec![a.clone(), b.clone()];
                return Err(error);
            }
            Ok(left.union(&right))
        }
    }
}

/// The first key at which two maps differ.
fn conflict<'m>(left: &'m Map, right: &'m Map) -> Option<(&'m Str, &'m Value, &'m Value)> {
    let (small, large) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    small.iter().find_map(|(key, value)| {
        let other = large.get(key).filter(|other| *other != value)?;
        Some(if left.len() <= right.len() { (key, value, other) } else { (key, other, value) })
    })
}
