//! Inputs that follow another: whoever has a partition of the leader has the follower's of that number.

use std::sync::Arc;

use crate::session::{SessionError, TopicPartition};
use crate::stage::InputTopic;

/// Checks that every follower can follow: its leader is an input that follows none, and both have the
/// same number of partitions. A leader that does not exist has none to follow.
///
/// # Errors
/// [`SessionError::Halt`] names both topics.
pub fn check_followers(
    inputs: &[InputTopic],
    mut count: impl FnMut(&Arc<str>) -> Result<Option<u32>, SessionError>,
) -> Result<(), SessionError> {
    for follower in inputs {
        let Some(leader) = &follower.with else { continue };
        let follower = &follower.name;
        let halt = |why: String| Err(SessionError::Halt(format!("{follower} cannot follow {leader}: {why}")));
        if !inputs.iter().any(|input| input.name == *leader && input.with.is_none()) {
            return halt(format!("{leader} is not an input that follows none"));
        }
        let Some(wanted) = count(leader)? else { continue };
        match count(follower)? {
            None => return halt(format!("there is no topic {follower}")),
            Some(found) if found != wanted => {
                return halt(format!("they need the same number of partitions, and have {found} and {wanted}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Partitions that the group moves, and those that follow them, each once.
pub fn with_followers(inputs: &[InputTopic], moved: Vec<TopicPartition>) -> Vec<TopicPartition> {
    let mut all = moved;
    for follower in inputs {
        let Some(leader) = &follower.with else { continue };
        let follow = |at: &TopicPartition| TopicPartition { topic: follower.name.clone(), partition: at.partition };
        let more: Vec<TopicPartition> =
            all.iter().filter(|at| at.topic == *leader).map(follow).filter(|at| !all.contains(at)).collect();
        all.extend(more);
    }
    all
}
