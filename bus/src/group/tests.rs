use super::*;

const COUNTS: &Counts<'static> = &|topic| match topic {
    "a" | "b" => Some(4),
    _ => None,
};

fn at(topic: &str, partitions: &[u32]) -> Vec<TopicPartition> {
    partitions.iter().map(|p| TopicPartition { topic: topic.into(), partition: *p }).collect()
}

/// `b<a` is the topic b, which follows a.
fn topic_and_leader(text: &str) -> (Arc<str>, Option<Arc<str>>) {
    match text.split_once('<') {
        Some((follower, leader)) => (follower.into(), Some(leader.into())),
        None => (text.into(), None),
    }
}

fn join(group: &mut Group, name: &str, topics: &[&str]) -> u64 {
    let epoch = group.join(&name.into(), 0, COUNTS);
    group.subscribe(name, epoch, topics.iter().map(|t| topic_and_leader(t)), COUNTS).unwrap();
    epoch
}

#[test]
fn ranges_cover_everything_once() {
    for count in 0..20 {
        for members in 1..7 {
            let all: Vec<u32> = ranges(count, members).flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>(), "{count} over {members}");
        }
    }
}

#[test]
fn a_partition_is_handed_on_only_after_its_release() {
    let mut group = Group::default();
    let one = join(&mut group, "one", &["a"]);
    assert_eq!(group.poll("one", one, 0), Ok(Some(GroupEvent::Assigned(at("a", &[0, 1, 2, 3])))));
    let two = join(&mut group, "two", &["a"]);
    assert_eq!(group.poll("two", two, 0), Ok(None), "nothing is free yet");
    assert_eq!(group.poll("one", one, 0), Ok(Some(GroupEvent::Revoked(at("a", &[2, 3])))));
    assert_eq!(group.poll("one", one, 0), Ok(None), "told once");
    assert_eq!(group.poll("two", two, 0), Ok(None));
    assert_eq!(group.check("one", one, &at("a", &[3])), Ok(()), "the last commit before the release");
    group.release("one", one, &at("a", &[2, 3])).unwrap();
    assert_eq!(group.check("one", one, &at("a", &[3])), Err(Fenced::NotOwner));
    assert_eq!(group.poll("two", two, 0), Ok(Some(GroupEvent::Assigned(at("a", &[2, 3])))));
    group.leave("one", one, COUNTS);
    assert_eq!(group.poll("two", two, 0), Ok(Some(GroupEvent::Assigned(at("a", &[0, 1])))));
}

#[test]
fn followers_go_where_their_leader_goes() {
    let mut group = Group::default();
    let one = join(&mut group, "one", &["b<a", "a"]);
    group.poll("one", one, 0).unwrap();
    assert_eq!(group.check("one", one, &at("b", &[0, 3])), Ok(()), "it may commit for what follows");
    let two = join(&mut group, "two", &["b<a", "a"]);
    assert_eq!(group.check("two", two, &at("b", &[3])), Err(Fenced::NotOwner));
    let moved = [at("a", &[2, 3]), at("b", &[2, 3])].concat();
    assert_eq!(group.poll("one", one, 0), Ok(Some(GroupEvent::Revoked(moved.clone()))));
    group.release("one", one, &at("a", &[2, 3])).unwrap();
    assert_eq!(group.poll("two", two, 0), Ok(None));
    group.release("one", one, &at("b", &[2, 3])).unwrap();
    assert_eq!(group.poll("two", two, 0), Ok(Some(GroupEvent::Assigned(moved))));
    assert_eq!(group.check("one", one, &at("b", &[1])), Ok(()), "what did not move is committed on");
    assert_eq!(group.check("one", one, &at("b", &[2])), Err(Fenced::NotOwner));
    // A third takes from one of them; whatever stays, stays whole.
    let three = join(&mut group, "three", &["b<a", "a"]);
    let moved = [at("a", &[2]), at("b", &[2])].concat();
    assert_eq!(group.poll("one", one, 0), Ok(None));
    assert_eq!(group.poll("two", two, 0), Ok(Some(GroupEvent::Revoked(moved.clone()))));
    group.release("two", two, &moved).unwrap();
    assert_eq!(group.poll("three", three, 0), Ok(Some(GroupEvent::Assigned(moved))));
}

#[test]
fn a_newer_session_of_the_same_name_fences_the_older() {
    let mut group = Group::default();
    let old = join(&mut group, "one", &["a"]);
    group.poll("one", old, 0).unwrap();
    let new = join(&mut group, "one", &["a"]);
    assert_eq!(group.poll("one", old, 0), Err(Fenced::Replaced));
    assert_eq!(group.check("one", old, &at("a", &[0])), Err(Fenced::Replaced));
    assert_eq!(group.poll("one", new, 0), Ok(Some(GroupEvent::Assigned(at("a", &[0, 1, 2, 3])))));
    group.leave("one", old, COUNTS);
    assert_eq!(group.check("one", new, &at("a", &[0])), Ok(()), "a late farewell concerns nobody");
}

#[test]
fn a_silent_member_expires() {
    let mut group = Group::default();
    let one = join(&mut group, "one", &["a"]);
    group.poll("one", one, 0).unwrap();
    let two = join(&mut group, "two", &["a"]);
    group.poll("two", two, 50).unwrap();
    group.expire(101, 100, COUNTS);
    assert_eq!(group.check("one", one, &at("a", &[0])), Err(Fenced::Expired));
    assert_eq!(group.poll("two", two, 101), Ok(Some(GroupEvent::Assigned(at("a", &[0, 1, 2, 3])))));
}

#[test]
fn a_topic_that_appears_is_assigned() {
    let mut group = Group::default();
    let one = join(&mut group, "one", &["later"]);
    assert_eq!(group.poll("one", one, 0), Ok(None));
    group.rebalance(&|_| Some(1));
    assert_eq!(group.poll("one", one, 0), Ok(Some(GroupEvent::Assigned(at("later", &[0])))));
}
