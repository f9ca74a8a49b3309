//! Who waits for room: how a worker shares memory and processors between actions that say what they need.
//!
//! What needs much would wait for ever beside much that needs little: whatever becomes free, something small is there
//! to take it. So those for which there is no room stand in line, in the order in which they came, and until the first has
//! its room nothing else takes any of what it waits for. Each keeps its place as long as it asks again, and a while longer:
//! once a full worker has declined it, it may have gone elsewhere, or come back. Where it has found room elsewhere its owner
//! says so, and its place is nobody's.

use std::collections::VecDeque;

use crate::needs::Needs;

/// Most that stand in line. Who comes when it is that long has no place, and may have one later.
const LINE_MAX: usize = 256;

/// The line of one worker. What happens in a transaction that is aborted has not happened.
#[derive(Debug, Default)]
pub struct Line {
    waiting: VecDeque<Waiting>,
    waiting_committed: VecDeque<Waiting>,
    has_changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    execution: String,
    /// Of the attempt that stood here last.
    token: i64,
    needs: Needs,
    /// Until when its place is kept, in milliseconds since the epoch.
    until_ms: i64,
}

impl Line {
    /// Whether an attempt, named by execution and token, may have its room now. If there is none, it stands in line from here on; its place is kept until
    /// an instant, in milliseconds since the epoch, unless it asks again.
    pub fn may_have(
        &mut self,
        (execution, token): (&str, i64),
        needs: Needs,
        room: &Needs,
        now_ms: i64,
        until_ms: i64,
    ) -> bool {
        if needs.is_none() {
            return true;
        }
        self.change(|waiting| waiting.retain(|one| now_ms <= one.until_ms));
        let fits = match self.waiting.front() {
            Some(first) if first.execution != execution => needs.fits_beside(&first.needs, room),
            _ => needs.fits(room),
        };
        if !fits {
            self.stand((execution, token), needs, until_ms);
        }
        fits
    }

    /// Those of whom that is true, by execution and token, wait for room nowhere any more.
    pub fn release(&mut self, is_released: impl Fn(&str, i64) -> bool) {
        self.change(|waiting| waiting.retain(|one| !is_released(&one.execution, one.token)));
    }

    /// It has its room, or is not to wait here any more.
    pub fn leave(&mut self, execution: &str) {
        self.change(|waiting| waiting.retain(|one| one.execution != execution));
    }

    /// What happened is committed.
    pub fn committed(&mut self) {
        if std::mem::take(&mut self.has_changed) {
            self.waiting_committed.clone_from(&self.waiting);
        }
    }

    /// What happened since the last commit has not.
    pub fn aborted(&mut self) {
        if std::mem::take(&mut self.has_changed) {
            self.waiting.clone_from(&self.waiting_committed);
        }
    }

    /// Stands where it stood, or behind all others.
    fn stand(&mut self, (execution, token): (&str, i64), needs: Needs, until_ms: i64) {
        self.has_changed = true;
        if let Some(own) = self.waiting.iter_mut().find(|one| one.execution == execution) {
            own.token = own.token.max(token);
            own.until_ms = own.until_ms.max(until_ms);
        } else if self.waiting.len() < LINE_MAX {
            self.waiting.push_back(Waiting { execution: execution.to_owned(), token, needs, until_ms });
        }
    }

    fn change(&mut self, what: impl FnOnce(&mut VecDeque<Waiting>)) {
        let before = self.waiting.len();
        what(&mut self.waiting);
        self.has_changed |= self.waiting.len() != before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(memory_bytes: u64, cpu_milli: u64) -> Needs {
        Needs { memory_bytes, cpu_milli }
    }

    /// Small ones come all the time, each for three turns, and fill whatever is free; in between comes one that needs all
    /// there is.
    #[test]
    fn what_is_large_has_its_room_once_what_was_there_before_has_ended() {
        for has_line in [true, false] {
            let (total, mut line) = (of(8, 0), Line::default());
            // Needs, and the turn in which it ends.
            let mut running: Vec<(Needs, i64)> = Vec::new();
            let large_at = (0..100).find(|turn| {
                running.retain(|(_, ends)| ends > turn);
                let used = |running: &[(Needs, i64)]| running.iter().fold(of(0, 0), |sum, (needs, _)| sum.plus(needs));
                let small = |line: &mut Line, running: &mut Vec<(Needs, i64)>, number: i64| {
                    let room = total.minus(&used(running));
                    if line.may_have((&format!("small-{turn}-{number}"), 1), of(2, 0), &room, *turn, *turn) {
                        running.push((of(2, 0), turn + 3 + number % 2));
                    }
                };
                (0..4).for_each(|number| small(&mut line, &mut running, number));
                if *turn == 0 {
                    return false;
                }
                let is_large_in = line.may_have(("large", 1), total, &total.minus(&used(&running)), *turn, turn + 2);
                if !has_line {
                    line.leave("large");
                }
                is_large_in
            });
            assert_eq!(large_at.is_some_and(|turn| turn <= 6), has_line, "{large_at:?}");
        }
    }

    #[test]
    fn the_place_of_who_does_not_come_back_is_kept_for_a_while() {
        let mut line = Line::default();
        assert!(!line.may_have(("large", 1), of(8, 0), &of(4, 4), 10, 50));
        assert!(!line.may_have(("small", 1), of(1, 0), &of(4, 4), 50, 60), "all of it is spoken for");
        assert!(line.may_have(("other", 1), of(0, 4), &of(4, 4), 50, 60), "it waits for no processor");
        assert!(line.may_have(("none", 1), of(0, 0), &of(0, 0), 50, 60));
        line.leave("small");
        line.committed();
        assert!(line.may_have(("small", 1), of(1, 0), &of(4, 4), 51, 60));
        line.aborted();
        assert!(!line.may_have(("small", 1), of(1, 0), &of(4, 4), 50, 60), "it stands there still");
        assert!(line.may_have(("large", 1), of(8, 0), &of(8, 0), 50, 60));
        line.leave("large");
        assert!(line.may_have(("small", 1), of(1, 0), &of(4, 4), 50, 60));
    }

    #[test]
    fn the_place_of_who_has_found_room_elsewhere_is_nobodys() {
        let mut line = Line::default();
        assert!(!line.may_have(("large", 4), of(8, 0), &of(4, 0), 0, 900));
        line.committed();
        // Of an attempt that has come after those, nothing was said.
        line.release(|execution, token| execution == "large" && token <= 3);
        assert!(!line.may_have(("small", 1), of(1, 0), &of(4, 0), 0, 900));
        line.release(|execution, token| execution == "large" && token <= 4);
        assert!(line.may_have(("small", 1), of(1, 0), &of(4, 0), 0, 900));
        // It is heard again after an abort.
        line.aborted();
        assert!(!line.may_have(("other", 1), of(1, 0), &of(4, 0), 0, 900));
    }

    #[test]
    fn who_waits_has_the_turn_in_which_it_came_and_the_line_has_an_end() {
        let (mut line, full) = (Line::default(), of(0, 0));
        assert!(!line.may_have(("a", 1), of(2, 0), &full, 0, 9) && !line.may_have(("b", 1), of(8, 0), &full, 0, 9));
        assert!(!line.may_have(("c", 1), of(2, 0), &full, 0, 9));
        // The first has its room, and then it is the second's turn, though the third would fit.
        assert!(!line.may_have(("c", 1), of(2, 0), &of(3, 0), 1, 9));
        assert!(line.may_have(("a", 1), of(2, 0), &of(3, 0), 1, 9));
        line.leave("a");
        assert!(!line.may_have(("c", 1), of(2, 0), &of(7, 0), 1, 9));
        assert!(line.may_have(("b", 1), of(8, 0), &of(8, 0), 1, 9));
        let many: Vec<String> = (0..2 * LINE_MAX).map(|number| number.to_string()).collect();
        many.iter().for_each(|id| assert!(!line.may_have((id, 1), of(8, 0), &full, 1, 9)));
        assert_eq!(line.waiting.len(), LINE_MAX);
    }
}
