//! Configurations, and the sets of variables to which they are pruned.
//!
//! Both are shared and immutable: most targets of a graph have one of a few configurations, so a copy should cost a
//! pointer. They are compared as maps, by ids.

use std::{fmt, sync::Arc, sync::OnceLock};

use taut_value::{Map, Str, Value};

/// A configuration: variables and their values.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Config(Map);

impl Config {
    /// A configuration of the given variables.
    pub fn new(variables: Map) -> Config {
        Config(variables)
    }

    /// The configuration without variables, always the same object.
    pub fn empty() -> Config {
        static EMPTY: OnceLock<Config> = OnceLock::new();
        // One object, so comparisons of the most frequent configuration end at the address.
        EMPTY.get_or_init(Config::default).clone()
    }

    /// All variables that are set, also to null.
    pub fn map(&self) -> &Map {
        &self.0
    }

    /// Whether the variable is set, also to null.
    pub fn mentions(&self, variable: &str) -> bool {
        self.0.contains_key(variable)
    }

    /// The configuration restricted to `variables`; variables that are not set become null.
    pub fn prune(&self, variables: &StrSet) -> Config {
        if variables.is_empty() {
            return Config::empty();
        }
        // The same object, whose id may be computed already.
        if variables.len() == self.0.len() && self.0.keys().eq(variables.iter()) {
            return self.clone();
        }
        let value = |variable: &Str| self.0.get(variable).cloned().unwrap_or_default();
        Config(variables.iter().map(|variable| (variable.clone(), value(variable))).collect())
    }

    /// Whether both have the same values for these variables; a variable that is not set is null.
    pub fn agrees_with(&self, other: &Config, variables: &StrSet) -> bool {
        let value = |config: &Config, variable: &Str| config.0.get(variable).cloned().unwrap_or_default();
        // By address or id: where the configurations are equal, no variable is looked at.
        self.0 == other.0 || variables.iter().all(|variable| value(self, variable) == value(other, variable))
    }

    /// This configuration with the variables of `changes` set.
    pub fn update(&self, changes: &Map) -> Config {
        // The same object where nothing changes: comparisons begin with the address.
        if changes.is_empty() { self.clone() } else { Config(self.0.union(changes)) }
    }

    /// The configuration without the variables that are null.
    pub fn without_nulls(&self) -> Config {
        let set = self.0.iter().filter(|(_, value)| !matches!(value, Value::Null));
        Config(set.map(|(variable, value)| (variable.clone(), value.clone())).collect())
    }

    /// Minimal JSON text, shortened if it is very long (see [`Map::to_label`]).
    pub fn to_label(&self) -> String {
        self.0.to_label()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_label())
    }
}

/// A shared set of strings in byte order: names of variables, words of taint.
// A sorted slice: sets have a handful of members, and most targets share one of a few sets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StrSet(Arc<[Str]>);

impl StrSet {
    /// The set without members, always the same object.
    pub fn empty() -> StrSet {
        static EMPTY: OnceLock<StrSet> = OnceLock::new();
        EMPTY.get_or_init(|| StrSet(Arc::from([]))).clone()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, sorted.
    pub fn iter(&self) -> std::slice::Iter<'_, Str> {
        self.0.iter()
    }

    /// Whether `text` is a member.
    pub fn contains(&self, text: &str) -> bool {
        self.0.binary_search_by(|member| member.as_str().cmp(text)).is_ok()
    }

    /// Whether all members are members of `other`.
    pub fn is_subset_of(&self, other: &StrSet) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.iter().all(|member| other.contains(member))
    }

    /// The union; one of the two objects if it contains the other.
    pub fn union(&self, other: &StrSet) -> StrSet {
        // No new set in the frequent case that dependencies read no more than the target itself.
        if other.is_subset_of(self) {
            self.clone()
        } else if self.is_subset_of(other) {
            other.clone()
        } else {
            self.iter().chain(other.iter()).cloned().collect()
        }
    }

    /// The set without the keys of `fixed`.
    pub fn without(&self, fixed: &Map) -> StrSet {
        if fixed.is_empty() || !self.iter().any(|member| fixed.contains_key(member)) {
            return self.clone();
        }
        self.iter().filter(|member| !fixed.contains_key(member)).cloned().collect()
    }
}

impl Default for StrSet {
    fn default() -> Self {
        StrSet::empty()
    }
}

impl<S: Into<Str>> FromIterator<S> for StrSet {
    fn from_iter<I: IntoIterator<Item = S>>(members: I) -> Self {
        let mut members: Vec<Str> = members.into_iter().map(Into::into).collect();
        if members.is_empty() {
            return StrSet::empty();
        }
        members.sort_unstable();
        members.dedup();
        StrSet(members.into())
    }
}

impl<'a> IntoIterator for &'a StrSet {
    type Item = &'a Str;
    type IntoIter = std::slice::Iter<'a, Str>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for StrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, f64)]) -> Config {
        Config::new(entries.iter().map(|(key, number)| (*key, Value::Number(*number))).collect())
    }

    #[test]
    fn pruning_keeps_named_variables_and_sets_absent_ones_to_null() {
        let pruned = config(&[("A", 1.0), ("B", 2.0)]).prune(&["Z", "A"].into_iter().collect());
        assert_eq!(pruned.to_label(), r#"{"A":1.0,"Z":null}"#);
        assert_eq!(pruned.without_nulls().to_label(), r#"{"A":1.0}"#);
        assert_eq!(pruned.prune(&StrSet::empty()), Config::empty());
    }

    #[test]
    fn an_unset_variable_agrees_with_one_that_is_null() {
        let null: Map = [("N", Value::Null)].into_iter().collect();
        let (a, b) = (config(&[("A", 1.0)]).update(&null), config(&[("A", 1.0), ("B", 2.0)]));
        assert!(a.agrees_with(&b, &["A", "N"].into_iter().collect()));
        assert!(!a.agrees_with(&b, &["A", "B"].into_iter().collect()));
        assert!(a.agrees_with(&b, &StrSet::empty()));
    }

    #[test]
    fn a_variable_updated_to_null_counts_as_fixed() {
        let change: Map = [("A", Value::Null)].into_iter().collect();
        let updated = config(&[("A", 1.0), ("B", 2.0)]).update(&change);
        assert_eq!(updated.to_label(), r#"{"A":null,"B":2.0}"#);
        assert!(updated.mentions("A"));
        let vars: StrSet = ["A", "B"].into_iter().collect();
        assert_eq!(vars.without(&change), ["B"].into_iter().collect());
    }

    #[test]
    fn a_union_with_a_subset_is_the_larger_set_itself() {
        let both: StrSet = ["b", "a", "b"].into_iter().collect();
        let one: StrSet = ["a"].into_iter().collect();
        assert!(Arc::ptr_eq(&one.union(&both).0, &both.0));
        assert_eq!(one.union(&["c"].into_iter().collect()).len(), 2);
        assert!(one.is_subset_of(&both) && !both.is_subset_of(&one));
    }
}
