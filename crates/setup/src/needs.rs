//! The graph of what the repositories of a description need of each other. Several questions are asked of every
//! repository; without the graph, each would search all that the repository reaches.
//!
//! A repository has two nodes. Its *root* is all that a layer needs. The *whole* of it includes all that its bindings
//! and layers need. A computed root, or a tree structure, needs the whole of another repository.

use std::collections::{BTreeMap, BTreeSet};

use crate::description::{Description, LAYERS};

/// The graph. Nodes are numbered: for the repository with number `n`, `2 * n` is the root, `2 * n + 1` the whole.
pub(crate) struct Needs<'n> {
    names: Vec<&'n str>,
    numbers: BTreeMap<&'n str, usize>,
    /// By node: the nodes that it needs.
    needs: Vec<Vec<usize>>,
    /// By node: the nodes that need it.
    needed_by: Vec<Vec<usize>>,
}

/// What a repository names, as far as it means others.
#[derive(Default)]
pub(crate) struct Named<'n> {
    /// The one that its root is made from.
    pub(crate) made_from: Option<&'n str>,
    pub(crate) bound: Vec<&'n str>,
    pub(crate) layers: Vec<&'n str>,
}

impl<'n> Named<'n> {
    /// The names in the entry of a repository. `made_from`: the repository that its root is made from.
    pub(crate) fn by(description: &'n Description, name: &str, made_from: Option<&'n str>) -> Named<'n> {
        let Ok(entry) = description.entry(name) else { return Named { made_from, ..Named::default() } };
        let bindings = entry.get("bindings");
        let bound = bindings.iter().flat_map(|bindings| bindings.entries());
        let bound = bound.filter_map(|(_, bound)| bound.as_str()).collect();
        let layers = LAYERS.iter().filter_map(|layer| entry.get(layer)?.as_str()).collect();
        Named { made_from, bound, layers }
    }
}

impl<'n> Needs<'n> {
    /// The graph of some repositories. What names others than these is left out. `named` is asked once for each.
    pub(crate) fn of(names: Vec<&'n str>, mut named: impl FnMut(&'n str) -> Named<'n>) -> Needs<'n> {
        let numbers: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
        let mut needs = vec![Vec::new(); 2 * names.len()];
        let mut needed_by = vec![Vec::new(); 2 * names.len()];
        let mut add = |from: usize, to: usize| {
            needs[from].push(to);
            needed_by[to].push(from);
        };
        for (number, name) in names.iter().enumerate() {
            let Named { made_from, bound, layers } = named(name);
            let of =
                |names: Vec<&str>| names.into_iter().filter_map(|name| numbers.get(name)).collect::<Vec<_>>();
            let (root, whole) = (root(number), whole(number));
            add(whole, root);
            of(made_from.into_iter().collect()).into_iter().for_each(|from| add(root, self::whole(*from)));
            of(bound).into_iter().for_each(|bound| add(whole, self::whole(*bound)));
            of(layers).into_iter().for_each(|layer| add(whole, self::root(*layer)));
        }
        Needs { names, numbers, needs, needed_by }
    }

    /// The repositories whose roots need none of `lacking`, nor themselves.
    pub(crate) fn satisfied<'a>(&self, lacking: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'n str> {
        let begin = self.roots_of(lacking).chain(self.endless()).collect();
        self.without(begin, root)
    }

    /// The repositories that can be set up, each with all that it reaches, without `lacking`.
    pub(crate) fn complete<'a>(&self, lacking: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'n str> {
        self.without(self.roots_of(lacking).collect(), whole)
    }

    fn roots_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = usize> {
        names.into_iter().filter_map(|name| self.numbers.get(name)).map(|number| root(*number))
    }

    /// The repositories whose node does not lead to one of `open`.
    fn without(&self, mut open: Vec<usize>, node: impl Fn(usize) -> usize) -> BTreeSet<&'n str> {
        let mut leads_there = vec![false; self.needs.len()];
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut leads_there[node], true) {
                open.extend(&self.needed_by[node]);
            }
        }
        let names = self.names.iter().enumerate();
        names.filter(|(number, _)| !leads_there[node(*number)]).map(|(_, name)| *name).collect()
    }

    /// The roots that are made from something that needs them. Bindings alone may well lead back.
    fn endless(&self) -> Vec<usize> {
        let component = self.components();
        let roots = (0..self.names.len()).map(root);
        roots
            .filter(|root| self.needs[*root].iter().any(|from| component[*from] == component[*root]))
            .collect()
    }

    /// The strongly connected components: by node, the number of its component.
    fn components(&self) -> Vec<usize> {
        // Kosaraju: the order in which a search leaves the nodes, backwards, is one in which searches against the
        // direction enter each component by itself. On stacks of their own: chains are as long as the description makes
        // them.
        let (mut is_entered, mut left) = (vec![false; self.needs.len()], Vec::new());
        for first in 0..self.needs.len() {
            let mut path = Vec::new();
            if !std::mem::replace(&mut is_entered[first], true) {
                path.push((first, self.needs[first].iter()));
            }
            while let Some((node, below)) = path.last_mut() {
                match below.next() {
                    Some(next) if std::mem::replace(&mut is_entered[*next], true) => {}
                    Some(next) => path.push((*next, self.needs[*next].iter())),
                    None => {
                        left.push(*node);
                        path.pop();
                    }
                }
            }
        }
        let mut component = vec![usize::MAX; self.needs.len()];
        for first in left.into_iter().rev() {
            let mut open = vec![first];
            while let Some(node) = open.pop() {
                if component[node] == usize::MAX {
                    component[node] = first;
                    open.extend(&self.needed_by[node]);
                }
            }
        }
        component
    }
}

fn root(number: usize) -> usize {
    2 * number
}

fn whole(number: usize) -> usize {
    2 * number + 1
}

#[cfg(test)]
mod tests {
    use taut_testkit::Rng;

    use super::*;

    /// A list of all roots asks each repository once what it names, however long the chains are.
    #[test]
    fn each_repository_of_a_chain_is_asked_once() {
        let names: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
        let mut asked = 0;
        let needs = Needs::of(names.iter().map(String::as_str).collect(), |name| {
            asked += 1;
            let below = name.parse::<usize>().unwrap().checked_sub(1);
            Named { made_from: below.map(|below| names[below].as_str()), ..Named::default() }
        });
        let steps: usize = needs.needs.iter().map(Vec::len).sum();
        assert_eq!((asked, steps), (20_000, 39_999));
        assert_eq!(needs.satisfied([]).len(), 20_000);
        assert_eq!(needs.satisfied(["10000"]).len(), 10_000);
        assert_eq!(needs.complete(["10000"]).len(), 10_000);
    }

    /// Against the definitions, each followed for one repository at a time.
    #[test]
    fn answers_are_those_of_the_definitions() {
        let mut rng = Rng::new(15);
        let (mut endless, mut fine) = (0, 0);
        for _ in 0..taut_testkit::times(500) {
            let count = 1 + rng.below(7);
            let names: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            let mut some =
                |most: usize| -> Vec<usize> { (0..rng.below(most)).map(|_| rng.below(count)).collect() };
            let all: Vec<[Vec<usize>; 3]> = (0..count).map(|_| [some(2), some(3), some(2)]).collect();
            let lacking = some(2);
            let text =
                |numbers: &[usize]| numbers.iter().map(|number| names[*number].as_str()).collect::<Vec<_>>();
            let needs = Needs::of(names.iter().map(String::as_str).collect(), |name| {
                let [made_from, bound, layers] = &all[name.parse::<usize>().unwrap()];
                let made_from = text(made_from).first().copied();
                Named { made_from, bound: text(bound), layers: text(layers) }
            });
            // The roots that a repository as a whole, or the root alone, needs.
            let roots = |first: usize, is_whole: bool| {
                let (mut open, mut seen) = (vec![(first, is_whole)], BTreeSet::new());
                while let Some((number, is_whole)) = open.pop() {
                    if seen.insert((number, is_whole)) {
                        let [made_from, bound, layers] = &all[number];
                        open.extend(made_from.first().map(|from| (*from, true)));
                        if is_whole {
                            open.push((number, false));
                            open.extend(bound.iter().map(|bound| (*bound, true)));
                            open.extend(layers.iter().map(|layer| (*layer, false)));
                        }
                    }
                }
                seen.into_iter()
                    .filter(|(_, is_whole)| !is_whole)
                    .map(|(number, _)| number)
                    .collect::<BTreeSet<_>>()
            };
            let needs_itself = |number: usize| {
                all[number][0].first().is_some_and(|from| roots(*from, true).contains(&number))
            };
            let is_complete =
                |number: usize| !roots(number, true).iter().any(|number| lacking.contains(number));
            let is_satisfied = |number: usize| {
                !roots(number, false).iter().any(|number| lacking.contains(number) || needs_itself(*number))
            };
            let expected = |holds: &dyn Fn(usize) -> bool| -> BTreeSet<&str> {
                (0..count).filter(|number| holds(*number)).map(|number| names[number].as_str()).collect()
            };
            assert_eq!(needs.complete(text(&lacking)), expected(&is_complete), "{all:?} {lacking:?}");
            assert_eq!(needs.satisfied(text(&lacking)), expected(&is_satisfied), "{all:?} {lacking:?}");
            match (0..count).any(needs_itself) {
                true => endless += 1,
                false => fine += 1,
            }
        }
        assert!(endless > 0 && fine > 0);
    }
}
