//! A vector that holds its element in place if it has at most one, as most lists of versions and runs do.

use std::ops::{Deref, DerefMut};

#[derive(Clone, Default, Debug)]
// Of its own, since a crate for small vectors would be a dependency with `unsafe` for one element in place.
pub(crate) enum InlineVec<T> {
    #[default]
    None,
    One(T),
    /// Two or more, now or earlier.
    Many(Vec<T>),
}

impl<T> InlineVec<T> {
    /// Adds an element in front of the others.
    pub(crate) fn push_front(&mut self, element: T) {
        match self {
            InlineVec::None => *self = InlineVec::One(element),
            InlineVec::Many(all) => all.insert(0, element),
            // The element can be moved out only by taking the whole value.
            InlineVec::One(_) => {
                if let InlineVec::One(other) = std::mem::take(self) {
                    *self = InlineVec::Many(vec![element, other]);
                }
            }
        }
    }

    /// Adds an element behind the others.
    pub(crate) fn push(&mut self, element: T) {
        match self {
            InlineVec::Many(all) => all.push(element),
            _ => {
                self.push_front(element);
                self.reverse();
            }
        }
    }

    /// Keeps only the elements for which `keep` returns true.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match self {
            InlineVec::None => {}
            InlineVec::One(one) => {
                if !keep(one) {
                    *self = InlineVec::None;
                }
            }
            InlineVec::Many(all) => all.retain(keep),
        }
    }

    /// Keeps only the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            InlineVec::Many(all) => all.truncate(len),
            _ if len == 0 => *self = InlineVec::None,
            _ => {}
        }
    }

    /// Drops the first `count` elements, or all of them.
    pub(crate) fn drop_front(&mut self, count: usize) {
        match self {
            InlineVec::Many(all) => drop(all.drain(..count.min(all.len()))),
            _ if count > 0 => *self = InlineVec::None,
            _ => {}
        }
    }
}

impl<T> Deref for InlineVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            InlineVec::None => &[],
            InlineVec::One(one) => std::slice::from_ref(one),
            InlineVec::Many(all) => all,
        }
    }
}

impl<T> DerefMut for InlineVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            InlineVec::None => &mut [],
            InlineVec::One(one) => std::slice::from_mut(one),
            InlineVec::Many(all) => all,
        }
    }
}

impl<T> From<Vec<T>> for InlineVec<T> {
    fn from(mut all: Vec<T>) -> InlineVec<T> {
        match all.len() {
            0 => InlineVec::None,
            1 => all.pop().map_or(InlineVec::None, InlineVec::One),
            _ => InlineVec::Many(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InlineVec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_vec(steps in proptest::collection::vec((0..5_u8, 0..4_usize), 0..12)) {
            let (mut inline, mut all) = (InlineVec::<usize>::default(), Vec::new());
            for (step, number) in steps {
                match step {
                    0 => { inline.push_front(number); all.insert(0, number); }
                    1 => { inline.push(number); all.push(number); }
                    2 => { inline.retain(|one| *one != number); all.retain(|one| *one != number); }
                    3 => { inline.truncate(number); all.truncate(number); }
                    _ => { inline.drop_front(number); all.drain(..number.min(all.len())); }
                }
                prop_assert_eq!(&*inline, &*all);
                prop_assert_eq!(&*InlineVec::from(all.clone()), &*all);
            }
        }
    }
}
