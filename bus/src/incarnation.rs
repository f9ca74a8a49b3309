//! Which topic of a name an offset of a group is on: a topic that is deleted and made anew is another one.
//!
//! A log forgets the offsets of a topic with the topic. But a member that has not heard of it yet commits an offset of
//! the old one into the new one's place. So a driver commits each offset with what tells the two apart beside it.

/// Begins the text beside such an offset.
const TOPIC: &str = "topic ";

/// The text beside an offset on that topic.
pub(crate) fn beside(incarnation: &str) -> String {
    format!("{TOPIC}{incarnation}")
}

/// Whether an offset is one of an earlier topic of the name, by the text beside it. One that says nothing is believed:
/// an operator has set it, or a log that cannot tell topics apart was asked.
pub fn is_of_earlier_topic(metadata: Option<&str>, incarnation: Option<&str>) -> bool {
    let committed = metadata.and_then(|text| text.strip_prefix(TOPIC));
    committed.zip(incarnation).is_some_and(|(committed, found)| committed != found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topic_that_is_known_to_be_another_is_another() {
        let old = beside("old");
        assert!(is_of_earlier_topic(Some(&old), Some("new")));
        for (metadata, incarnation) in
            [(Some(&*old), Some("old")), (Some(&*old), None), (None, Some("new")), (Some("range 3-9"), Some("new"))]
        {
            assert!(!is_of_earlier_topic(metadata, incarnation), "{metadata:?} {incarnation:?}");
        }
    }
}
