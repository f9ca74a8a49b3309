//! The latest run of each task in each route.

use std::collections::BTreeMap;

use super::runs::RunId;
use crate::definition::TaskIndex;

/// Most workflows have one route, and of that the runs stand by the numbers of their tasks: a look costs the same in a
/// large workflow as in a small one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latest {
    first: Vec<Option<RunId>>,
    others: BTreeMap<(TaskIndex, u32), RunId>,
}

impl Latest {
    pub(crate) fn get(&self, task: TaskIndex, route: u32) -> Option<RunId> {
        match route {
            0 => self.first.get(task as usize).copied().flatten(),
            _ => self.others.get(&(task, route)).copied(),
        }
    }

    /// Sets it, and says which one it was; without a run there is none any more.
    pub(crate) fn set(&mut self, task: TaskIndex, route: u32, run: Option<RunId>) -> Option<RunId> {
        if route != 0 {
            return match run {
                Some(run) => self.others.insert((task, route), run),
                None => self.others.remove(&(task, route)),
            };
        }
        let place = task as usize;
        if place >= self.first.len() {
            self.first.resize(place + 1, None);
        }
        std::mem::replace(&mut self.first[place], run)
    }

    /// All of them, by number.
    pub(crate) fn in_order(&self) -> Vec<RunId> {
        let mut latest: Vec<RunId> = self.first.iter().flatten().chain(self.others.values()).copied().collect();
        latest.sort_unstable();
        latest
    }
}
