//! A list that mostly has no element or one: that one lies in place.

use std::ops::{Deref, DerefMut};

#[derive(Clone, Default, Debug)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    /// More, or once more.
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// Adds an element in front of the others.
    pub(crate) fn push_front(&mut self, element: T) {
        match self {
            Few::None => *self = Few::One(element),
            Few::Many(all) => all.insert(0, element),
            Few::One(_) => {
                if let Few::One(other) = std::mem::take(self) {
                    *self = Few::Many(vec![element, other]);
                }
            }
        }
    }

    /// Adds an element behind the others.
    pub(crate) fn push(&mut self, element: T) {
        match self {
            Few::Many(all) => all.push(element),
            _ => {
                self.push_front(element);
                self.reverse();
            }
        }
    }

    /// Keeps only those of which `keep` says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match self {
            Few::None => {}
            Few::One(one) => {
                if !keep(one) {
                    *self = Few::None;
                }
            }
            Few::Many(all) => all.retain(keep),
        }
    }

    /// Keeps only the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            Few::Many(all) => all.truncate(len),
            _ if len == 0 => *self = Few::None,
            _ => {}
        }
    }

    /// Drops the first `count`, or all.
    pub(crate) fn drop_front(&mut self, count: usize) {
        match self {
            Few::Many(all) => drop(all.drain(..count.min(all.len()))),
            _ if count > 0 => *self = Few::None,
            _ => {}
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Few::None => &[],
            Few::One(one) => std::slice::from_ref(one),
            Few::Many(all) => all,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::None => &mut [],
            Few::One(one) => std::slice::from_mut(one),
            Few::Many(all) => all,
        }
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut all: Vec<T>) -> Few<T> {
        match all.len() {
            0 => Few::None,
            1 => all.pop().map_or(Few::None, Few::One),
            _ => Few::Many(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Few;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_as_a_vec(steps in proptest::collection::vec((0..5_u8, 0..4_usize), 0..12)) {
            let (mut few, mut all) = (Few::<usize>::default(), Vec::new());
            for (step, number) in steps {
                match step {
                    0 => { few.push_front(number); all.insert(0, number); }
                    1 => { few.push(number); all.push(number); }
                    2 => { few.retain(|one| *one != number); all.retain(|one| *one != number); }
                    3 => { few.truncate(number); all.truncate(number); }
                    _ => { few.drop_front(number); all.drain(..number.min(all.len())); }
                }
                prop_assert_eq!(&*few, &*all);
                prop_assert_eq!(&*Few::from(all.clone()), &*all);
            }
        }
    }
}
