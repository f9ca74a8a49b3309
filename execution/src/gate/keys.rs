//! The keys under which a partition of gates remembers what it remembers.
//!
//! Policies, keys of gates and ids come from outside and may hold any character: each is preceded by its length, so that
//! no key is the beginning of another one's, and the entries of a gate stand together in the order that is needed.

use petrel_schemas::ExecutionId;

use super::{Class, GateId, Hit, Kind, Level, Stamp};

/// How many gates there are.
pub const GATES_KEY: &[u8] = b"gates";

const LAST: u8 = b'l';
const HEAD: u8 = b'h';
const PERMIT: u8 = b'p';
const SEAT: u8 = b's';
const QUEUE: u8 = b'q';
const HIT: u8 = b'x';
const SPACE: u8 = b':';

/// Key of the last stamp of a sender.
pub fn last_key(sender: u32) -> Vec<u8> {
    let mut key = vec![LAST, SPACE];
    key.extend(sender.to_be_bytes());
    key
}

/// What the keys of the heads of all gates begin with.
pub const HEADS: &[u8] = &[HEAD, SPACE];

/// What the keys of the heads of all gates of a policy begin with.
pub fn heads_of(policy: &str) -> Vec<u8> {
    let mut key = vec![HEAD, SPACE];
    text(&mut key, policy);
    key
}

/// Key of a gate's head, and of its timer.
pub fn head_key(gate: &GateId) -> Vec<u8> {
    let mut key = vec![HEAD, SPACE];
    gate_id(&mut key, gate);
    key
}

/// What the keys of the permits of a gate begin with.
pub fn permits_of(gate: &GateId) -> Vec<u8> {
    prefix(PERMIT, gate)
}

/// Key of a permit.
pub fn permit_key(gate: &GateId, execution: &ExecutionId) -> Vec<u8> {
    with_id(permits_of(gate), execution)
}

/// Key of the place of somebody who waits.
pub fn seat_key(gate: &GateId, execution: &ExecutionId) -> Vec<u8> {
    with_id(prefix(SEAT, gate), execution)
}

/// What the keys of the queue of a class begin with.
pub fn queue_of(gate: &GateId, class: Class) -> Vec<u8> {
    let mut key = prefix(QUEUE, gate);
    key.push(class as u8);
    key
}

/// Key of an entry of a queue.
pub fn queue_key(gate: &GateId, class: Class, ticket: u64) -> Vec<u8> {
    let mut key = queue_of(gate, class);
    key.extend(ticket.to_be_bytes());
    key
}

/// What the keys of the starts of a gate begin with.
pub fn hits_of(gate: &GateId) -> Vec<u8> {
    prefix(HIT, gate)
}

/// Key of a start; the keys are in the order of [`Hit`].
pub fn hit_key(gate: &GateId, hit: &Hit) -> Vec<u8> {
    let mut key = hits_of(gate);
    key.extend(hit.window.to_be_bytes());
    key.extend(ordered(hit.until_ms));
    key.extend(ordered(hit.acquisition.epoch));
    key.extend(hit.acquisition.number.to_be_bytes());
    with_id(key, &hit.execution)
}

/// The gate whose head, or timer, has that key.
pub fn parse_head(key: &[u8]) -> Option<GateId> {
    let (gate, rest) = parse_gate(key.strip_prefix(&[HEAD, SPACE])?)?;
    rest.is_empty().then_some(gate)
}

/// The key of the head of the gate that has the entry of that key: a permit, a place, one in a queue or a start.
pub fn head_key_of_entry(key: &[u8]) -> Option<Vec<u8>> {
    let of_gate = key.get(2..).filter(|_| [PERMIT, SEAT, QUEUE, HIT].contains(&key[0]) && key[1] == SPACE)?;
    let (_, rest) = parse_gate(of_gate)?;
    Some([HEADS, &of_gate[..of_gate.len() - rest.len()]].concat())
}

/// Who has the permit, or the place, of that key.
pub fn parse_holder(gate: &GateId, key: &[u8]) -> Option<ExecutionId> {
    let rest = key.strip_prefix(&*permits_of(gate)).or_else(|| key.strip_prefix(&*prefix(SEAT, gate)))?;
    ExecutionId::parse(std::str::from_utf8(rest).ok()?).ok()
}

/// The permit of that key: of which gate, and whose.
pub fn parse_permit(key: &[u8]) -> Option<(GateId, ExecutionId)> {
    let (gate, rest) = parse_gate(key.strip_prefix(&[PERMIT, SPACE])?)?;
    Some((gate, ExecutionId::parse(std::str::from_utf8(rest).ok()?).ok()?))
}

/// The ticket of an entry of that queue.
pub fn parse_ticket(gate: &GateId, class: Class, key: &[u8]) -> Option<u64> {
    let rest = key.strip_prefix(&*queue_of(gate, class))?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

/// The start of that key.
pub fn parse_hit(gate: &GateId, key: &[u8]) -> Option<Hit> {
    let rest = key.strip_prefix(&*hits_of(gate))?;
    let (window, rest) = rest.split_first_chunk()?;
    let (until, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    Some(Hit {
        window: u32::from_be_bytes(*window),
        until_ms: unordered(*until),
        acquisition: Stamp { epoch: unordered(*epoch), number: u64::from_be_bytes(*number) },
        execution: ExecutionId::parse(std::str::from_utf8(rest).ok()?).ok()?,
    })
}

fn prefix(of: u8, gate: &GateId) -> Vec<u8> {
    let mut key = vec![of, SPACE];
    gate_id(&mut key, gate);
    key
}

fn gate_id(key: &mut Vec<u8>, gate: &GateId) {
    text(key, &gate.policy);
    key.push(gate.kind as u8);
    match &gate.level {
        Level::Total => key.push(0),
        Level::Key(of) => {
            key.push(1);
            text(key, of);
        }
    }
}

fn parse_gate(key: &[u8]) -> Option<(GateId, &[u8])> {
    let (policy, rest) = parse_text(key)?;
    let (kind, rest) = rest.split_first()?;
    let kind = Kind::ALL.into_iter().find(|known| *known as u8 == *kind)?;
    let (level, rest) = match rest.split_first()? {
        (0, rest) => (Level::Total, rest),
        (1, rest) => {
            let (of, rest) = parse_text(rest)?;
            (Level::Key(of), rest)
        }
        _ => return None,
    };
    Some((GateId { policy, kind, level }, rest))
}

/// Its length, in bytes, and then itself.
fn text(key: &mut Vec<u8>, text: &str) {
    // References and keys of gates are far shorter.
    let bytes = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key.extend(bytes.to_be_bytes());
    key.extend(&text.as_bytes()[..usize::from(bytes)]);
}

fn parse_text(key: &[u8]) -> Option<(String, &[u8])> {
    let (bytes, rest) = key.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*bytes)))?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}

/// An id ends its key, so that it needs no length.
fn with_id(mut key: Vec<u8>, execution: &ExecutionId) -> Vec<u8> {
    key.extend(execution.as_str().as_bytes());
    key
}

/// Bytes in the order of the numbers, negative ones first.
fn ordered(number: i64) -> [u8; 8] {
    (number ^ i64::MIN).to_be_bytes()
}

fn unordered(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates() -> Vec<GateId> {
        let mut gates = Vec::new();
        for policy in ["a.p", "a.p/", "a", "b.p"] {
            for kind in Kind::ALL {
                gates.push(GateId::total(policy, kind));
                for key in ["", "total", "a", "a/", "a/b", "\0", "ü"] {
                    gates.push(GateId::of_key(policy, kind, key).unwrap());
                }
            }
        }
        gates
    }

    #[test]
    fn no_entry_of_a_gate_stands_among_those_of_another() {
        let gates = gates();
        for one in &gates {
            assert_eq!(parse_head(&head_key(one)).as_ref(), Some(one));
            for other in gates.iter().filter(|other| *other != one) {
                for (a, b) in [
                    (permits_of(one), permits_of(other)),
                    (hits_of(one), hits_of(other)),
                    (queue_of(one, Class::Bulk), queue_of(other, Class::Bulk)),
                    (head_key(one), head_key(other)),
                ] {
                    assert!(!a.starts_with(&b), "{one} {other}");
                }
                let is_of_policy = head_key(other).starts_with(&heads_of(&one.policy));
                assert_eq!(is_of_policy, one.policy == other.policy, "{one} {other}");
            }
        }
    }

    #[test]
    fn entries_are_read_back_in_order() {
        let gate = GateId::of_key("a.p", Kind::Radius, "x/").unwrap();
        let id = ExecutionId::of_manual("x").child(2).unwrap();
        assert_eq!(parse_holder(&gate, &permit_key(&gate, &id)), Some(id.clone()));
        assert_eq!(parse_holder(&gate, &seat_key(&gate, &id)), Some(id.clone()));
        assert_eq!(parse_permit(&permit_key(&gate, &id)), Some((gate.clone(), id.clone())));
        assert_eq!(parse_permit(&seat_key(&gate, &id)), None);
        assert_eq!(parse_ticket(&gate, Class::Bulk, &queue_key(&gate, Class::Bulk, 7)), Some(7));
        assert_eq!(parse_ticket(&gate, Class::Normal, &queue_key(&gate, Class::Bulk, 7)), None);
        let entries = [permit_key(&gate, &id), seat_key(&gate, &id), queue_key(&gate, Class::Bulk, 7)];
        assert!(entries.iter().all(|key| head_key_of_entry(key) == Some(head_key(&gate))));
        for key in [&head_key(&gate), GATES_KEY, b"p", b"p:", &last_key(0)] {
            assert_eq!(head_key_of_entry(key), None);
        }
        let hit = |window, until_ms, epoch| Hit {
            window,
            until_ms,
            acquisition: Stamp { epoch, number: 9 },
            execution: id.clone(),
        };
        let hits = [hit(0, 300, 1), hit(1, -5, 1), hit(1, -1, 1), hit(1, 0, -1), hit(1, 0, 1), hit(1, 256, 0)];
        assert!(hits.is_sorted());
        let keys: Vec<Vec<u8>> = hits.iter().map(|hit| hit_key(&gate, hit)).collect();
        assert!(keys.is_sorted());
        for (hit, key) in hits.iter().zip(&keys) {
            assert_eq!(parse_hit(&gate, key).as_ref(), Some(hit));
        }
        assert!(queue_key(&gate, Class::Normal, 255) < queue_key(&gate, Class::Normal, 256));
        for key in [&b"gates"[..], b"h:", b"h:\0\x01a", b"", b"p:\xFF"] {
            assert_eq!(parse_head(key), None);
        }
        for key in [GATES_KEY, &last_key(0), &permit_key(&gate, &id)] {
            assert!(!key.starts_with(b"~"), "that is the bus's own");
        }
    }
}
