//! Who is next, when many wait: plugins take turns, within a plugin its users take turns, and within a user it is first
//! come, first served. However many callers one of them has, the others wait for one of them at a time.

use std::collections::VecDeque;
use std::sync::Arc;

/// Whether somebody may use what is kept from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rank {
    /// Short, and the farm needs it to go on: descriptions, schedulers, reporters.
    Service,
    /// A step, which may wait for hours.
    Step,
}

/// On whose behalf somebody waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    pub(crate) rank: Rank,
    /// The plugin that is to run.
    pub(crate) plugin: Arc<str>,
    /// What it runs for: a builder, or whatever else uses plugins.
    pub(crate) user: Arc<str>,
}

impl Party {
    /// A step.
    pub(crate) fn new(plugin: &str, user: &str) -> Self {
        Self {
            rank: Rank::Step,
            plugin: plugin.into(),
            user: user.into(),
        }
    }

    /// What is no step.
    pub(crate) fn service(plugin: &str, user: &str) -> Self {
        Self {
            rank: Rank::Service,
            ..Self::new(plugin, user)
        }
    }

    /// Whose long calls are computed one after the other: of one builder those of its steps; of what is no step, all of a plugin, since
    /// such calls have little time.
    pub(crate) fn row(&self) -> Self {
        match self.rank {
            Rank::Step => self.clone(),
            Rank::Service => Self::service(&self.plugin, ""),
        }
    }
}

/// A queue in which parties take turns.
pub(crate) struct Rota<T> {
    plugins: Turn<Turn<VecDeque<T>>>,
    length: usize,
}

/// Queues by name; the first is whose turn it is. None of them is empty.
type Turn<Q> = VecDeque<(Arc<str>, Q)>;

impl<T> Default for Rota<T> {
    fn default() -> Self {
        Self {
            plugins: VecDeque::new(),
            length: 0,
        }
    }
}

impl<T> Rota<T> {
    pub(crate) fn push(&mut self, party: &Party, item: T) {
        let users = of(&mut self.plugins, &party.plugin);
        of(users, &party.user).push_back(item);
        self.length += 1;
    }

    /// Before all others of its user.
    pub(crate) fn push_first(&mut self, party: &Party, item: T) {
        let users = of(&mut self.plugins, &party.plugin);
        of(users, &party.user).push_front(item);
        self.length += 1;
    }

    /// Who comes next.
    pub(crate) fn first_mut(&mut self) -> Option<&mut T> {
        let (_, users) = self.plugins.front_mut()?;
        users.front_mut()?.1.front_mut()
    }

    /// Takes who comes next, and passes the turn on.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.pop_where(|_| true)
    }

    /// Takes the first of those who are first of their own and for whom this is true, and passes their turn on.
    pub(crate) fn pop_where(&mut self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let of_plugin = |users: &Turn<VecDeque<T>>| {
            let is_first = |(_, items): &(_, VecDeque<T>)| items.front().is_some_and(&is_it);
            users.iter().position(is_first)
        };
        let found = self.plugins.iter().enumerate();
        let (at, at_user) = found
            .filter_map(|(at, (_, users))| Some((at, of_plugin(users)?)))
            .next()?;
        let (plugin, mut users) = self.plugins.remove(at)?;
        let (user, mut items) = users.remove(at_user)?;
        let item = items.pop_front();
        if !items.is_empty() {
            users.push_back((user, items));
        }
        if !users.is_empty() {
            self.plugins.push_back((plugin, users));
        }
        self.length -= 1;
        item
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for (_, users) in &mut self.plugins {
            for (_, items) in users.iter_mut() {
                items.retain(&mut keep);
            }
            users.retain(|(_, items)| !items.is_empty());
        }
        self.plugins.retain(|(_, users)| !users.is_empty());
        self.length = self.iter().count();
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Everybody, with the name of the plugin.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &T)> {
        self.plugins.iter().flat_map(|(plugin, users)| {
            let items = users.iter().flat_map(|(_, items)| items);
            items.map(move |item| (plugin, item))
        })
    }
}

/// The queue of a name, at the end if there is none yet.
fn of<'q, Q: Default>(queues: &'q mut Turn<Q>, name: &Arc<str>) -> &'q mut Q {
    let at = queues.iter().position(|(known, _)| known == name);
    let at = at.unwrap_or_else(|| {
        queues.push_back((name.clone(), Q::default()));
        queues.len() - 1
    });
    &mut queues[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_take_turns_and_schedulers_of_one_plugin_stand_in_a_row() {
        assert_ne!(Party::new("a", "x").row(), Party::new("a", "y").row());
        let service = Party::service;
        assert_eq!(service("a", "x").row(), service("a", "y").row());
        assert_ne!(service("a", "x").row(), service("b", "x").row());
    }

    #[test]
    fn plugins_and_their_users_take_turns() {
        let mut rota = Rota::default();
        for (plugin, user, item) in [
            ("a", "x", "a x1"),
            ("a", "x", "a x2"),
            ("a", "x", "a x3"),
            ("a", "y", "a y1"),
            ("b", "x", "b x1"),
            ("b", "x", "gone"),
        ] {
            rota.push(&Party::new(plugin, user), item);
        }
        rota.retain(|item| *item != "gone");
        assert_eq!(rota.len(), 5);
        assert_eq!(rota.first_mut(), Some(&mut "a x1"));
        assert_eq!(
            rota.pop_where(|item| *item == "a x2"),
            None,
            "not first of its own"
        );
        assert_eq!(rota.pop_where(|item| *item == "b x1"), Some("b x1"));
        rota.push(&Party::new("b", "x"), "b x1");
        rota.push_first(&Party::new("a", "y"), "a y0");
        let order: Vec<_> = std::iter::from_fn(|| rota.pop()).collect();
        assert_eq!(order, ["a x1", "b x1", "a y0", "a x2", "a y1", "a x3"]);
        assert_eq!((rota.len(), rota.first_mut()), (0, None));
    }
}
