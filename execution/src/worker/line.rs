//! Who waits for room: how a worker shares memory and processors between actions that say what they need.
//!
//! What needs much would wait for ever beside much that needs little: whatever becomes free, something small is there
//! to take it. So the first for which there is no room stands in line, and until it has its room nothing else takes any of
//! what it waits for. Others that wait do so behind it, each for as long as a worker's patience lasts, and so does it: once
//! it was declined it may have gone elsewhere, or come back. Its place is kept for a while if everybody has declined it.

use crate::needs::Needs;

/// The line of one worker. What happens in a transaction that is aborted has not happened.
#[derive(Debug, Default)]
pub struct Line {
    first: Option<First>,
    first_committed: Option<First>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct First {
    execution: String,
    needs: Needs,
    /// Until when its place is kept, in milliseconds since the epoch.
    until_ms: i64,
}

impl Line {
    /// Whether an execution may have its room now. If there is no room and nobody is in line, it is from here on; its place
    /// is kept until an instant, in milliseconds since the epoch, unless it asks again.
    pub fn may_have(&mut self, execution: &str, needs: Needs, room: &Needs, now_ms: i64, until_ms: i64) -> bool {
        if needs.is_none() {
            return true;
        }
        self.first.take_if(|first| now_ms > first.until_ms);
        match &mut self.first {
            Some(first) if first.execution != execution => needs.fits_beside(&first.needs, room),
            Some(first) => {
                first.until_ms = first.until_ms.max(until_ms);
                needs.fits(room)
            }
            None => {
                let fits = needs.fits(room);
                if !fits {
                    self.first = Some(First { execution: execution.to_owned(), needs, until_ms });
                }
                fits
            }
        }
    }

    /// It has its room, or is not to wait here any more.
    pub fn leave(&mut self, execution: &str) {
        self.first.take_if(|first| first.execution == execution);
    }

    /// What happened is committed.
    pub fn committed(&mut self) {
        self.first_committed.clone_from(&self.first);
    }

    /// What happened since the last commit has not.
    pub fn aborted(&mut self) {
        self.first.clone_from(&self.first_committed);
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
                    if line.may_have(&format!("small-{turn}-{number}"), of(2, 0), &room, *turn, *turn) {
                        running.push((of(2, 0), turn + 3 + number % 2));
                    }
                };
                (0..4).for_each(|number| small(&mut line, &mut running, number));
                if *turn == 0 {
                    return false;
                }
                let is_large_in = line.may_have("large", total, &total.minus(&used(&running)), *turn, turn + 2);
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
        assert!(!line.may_have("large", of(8, 0), &of(4, 4), 10, 50));
        assert!(!line.may_have("small", of(1, 0), &of(4, 4), 50, 60), "all of it is spoken for");
        assert!(line.may_have("other", of(0, 4), &of(4, 4), 50, 60), "it waits for no processor");
        assert!(line.may_have("none", of(0, 0), &of(0, 0), 50, 60));
        line.committed();
        assert!(line.may_have("small", of(1, 0), &of(4, 4), 51, 60));
        line.aborted();
        assert!(!line.may_have("small", of(1, 0), &of(4, 4), 50, 60), "it stands there still");
        line.leave("small");
        assert!(!line.may_have("small", of(1, 0), &of(4, 4), 50, 60));
        assert!(line.may_have("large", of(8, 0), &of(8, 0), 50, 60));
        line.leave("large");
        assert!(line.may_have("small", of(1, 0), &of(4, 4), 50, 60));
    }
}
