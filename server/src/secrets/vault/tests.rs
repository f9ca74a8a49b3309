//! A vault whose topic is read as the test says.

use std::future::Future;
use std::pin::Pin;

use petrel_bus::BusError;
use petrel_bus::sim::SimClock;
use petrel_schemas::encode;
use petrel_secrets::{Fresh, MasterKey, NONCE_BYTES, Origin, rewrap, seal};
use zeroize::Zeroizing;

use super::*;

const NAME: &str = "disk.token";
const NOW_MS: i64 = 1_700_000_000_000;

/// A tail the end of which is reached when the test says so.
#[derive(Default)]
struct ByHand {
    is_noted: bool,
    is_reached: bool,
}

impl Tail for ByHand {
    fn next(&mut self, _: Duration, _: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        Ok(())
    }

    fn caught_up(&self) -> bool {
        true
    }

    fn mark(&mut self) -> Result<(), BusError> {
        self.is_noted = true;
        Ok(())
    }

    fn passed_mark(&self) -> bool {
        self.is_noted && self.is_reached
    }
}

struct Rig {
    vault: Arc<Vault>,
    clock: Arc<SimClock>,
    tail: ByHand,
}

fn key(byte: u8) -> MasterKey {
    use base64::Engine as _;
    MasterKey::parse(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
}

fn sealed(version: i64, master: u8) -> SecretSealed {
    let value = SecretValue::new(format!("hunter{version} hunter{version}")).unwrap();
    let (set_at_ms, set_by) = (NOW_MS, "kim".to_owned());
    let origin = Origin { name: NAME.to_owned(), version, set_at_ms, set_by, expires_at_ms: None };
    let nonce = [version.unsigned_abs() as u8; NONCE_BYTES];
    let fresh =
        Fresh { data_key: Zeroizing::new([version.unsigned_abs() as u8; 32]), value_nonce: nonce, key_nonce: nonce };
    seal(&value, origin, &key(master), &fresh)
}

impl Rig {
    fn new(keys: MasterKeys) -> Self {
        let clock = SimClock::at(NOW_MS);
        Self { vault: Vault::new(Some(keys), clock.clone()), clock, tail: ByHand::default() }
    }

    fn take(&self, sealed: Option<&SecretSealed>) {
        let value = sealed.map(encode);
        let (key, value) = (Some(NAME.as_bytes()), value.as_deref());
        self.vault.take(&Record { offset: 0, timestamp_ms: 0, key, value });
    }

    /// The follower has waited for records; whether the end that was noted is reached.
    fn look(&mut self, is_reached: bool) {
        self.tail.is_reached = is_reached;
        self.vault.look(&mut self.tail);
    }
}

type Answer = Result<String, NoSecret>;

fn open(vault: &Arc<Vault>) -> Pin<Box<dyn Future<Output = Answer>>> {
    let vault = vault.clone();
    Box::pin(async move {
        let now_ms = vault.clock.now_ms();
        let values = vault.open(&[NAME.to_owned()], now_ms).await?;
        Ok(values.iter().map(SecretValue::expose).collect())
    })
}

/// The answer, if there is one yet.
async fn answer(opens: &mut Pin<Box<dyn Future<Output = Answer>>>) -> Option<Answer> {
    tokio::select! { biased; answer = opens => Some(answer), () = std::future::ready(()) => None }
}

fn missing() -> Answer {
    Err(NoSecret::Missing(NAME.to_owned()))
}

#[tokio::test]
async fn nothing_is_opened_before_the_topic_was_read_to_its_end() {
    let mut rig = Rig::new(MasterKeys::new(key(1), Vec::new()).unwrap());
    rig.take(Some(&sealed(1, 1)));
    let mut opens = open(&rig.vault);
    assert_eq!(answer(&mut opens).await, None, "there may be another version");
    rig.look(false);
    rig.take(Some(&sealed(2, 1)));
    rig.look(false);
    assert_eq!(answer(&mut opens).await, None, "it may be deleted");
    rig.take(None);
    rig.look(true);
    assert_eq!(answer(&mut opens).await, Some(missing()));
    // From then on what comes is what there is.
    rig.take(Some(&sealed(3, 1)));
    assert_eq!(answer(&mut open(&rig.vault)).await, Some(Ok("hunter3 hunter3".to_owned())));
}

#[tokio::test]
async fn what_was_read_long_ago_is_not_trusted() {
    let mut rig = Rig::new(MasterKeys::new(key(1), Vec::new()).unwrap());
    rig.take(Some(&sealed(1, 1)));
    let mut opens = open(&rig.vault);
    assert_eq!(answer(&mut opens).await, None);
    rig.look(true);
    assert_eq!(answer(&mut opens).await, Some(Ok("hunter1 hunter1".to_owned())));
    // A while later nobody waits, and the end is read again.
    rig.clock.advance(KNOWN_MS_AHEAD + 1);
    assert!(answer(&mut open(&rig.vault)).await.is_some());
    rig.look(true);
    rig.clock.advance(KNOWN_MS_MAX);
    assert!(answer(&mut open(&rig.vault)).await.is_some(), "the end was noted again meanwhile");
    // The topic is not followed, the secret is deleted, and the topic is followed again.
    rig.look(true);
    rig.clock.advance(KNOWN_MS_MAX + 1);
    let mut opens = open(&rig.vault);
    assert_eq!(answer(&mut opens).await, None);
    rig.take(None);
    rig.look(true);
    assert_eq!(answer(&mut opens).await, Some(missing()));
    // Nor is anything trusted by a clock that was set back.
    rig.take(Some(&sealed(1, 1)));
    rig.clock.advance(-60_000);
    assert_eq!(answer(&mut open(&rig.vault)).await, None);
}

#[tokio::test]
async fn what_cannot_be_opened_may_have_been_sealed_anew() {
    let mut rig = Rig::new(MasterKeys::new(key(2), Vec::new()).unwrap());
    let before = sealed(1, 1);
    rig.take(Some(&before));
    let mut opens = open(&rig.vault);
    assert_eq!(answer(&mut opens).await, None);
    rig.look(true);
    assert!(matches!(answer(&mut opens).await, Some(Err(NoSecret::Unusable(_)))));
    let mut opens = open(&rig.vault);
    assert_eq!(answer(&mut opens).await, None, "it is looked for once more");
    let both = MasterKeys::new(key(2), vec![key(1)]).unwrap();
    rig.take(rewrap(&before, NAME, &both, [9; NONCE_BYTES]).unwrap().as_ref());
    rig.look(true);
    assert_eq!(answer(&mut opens).await, Some(Ok("hunter1 hunter1".to_owned())));
}

#[tokio::test]
async fn the_topic_is_read_once_for_all_that_is_not_known() {
    let mut rig = Rig::new(MasterKeys::new(key(1), Vec::new()).unwrap());
    let mut opens = open(&rig.vault);
    assert_eq!(answer(&mut opens).await, None);
    rig.look(true);
    assert_eq!(answer(&mut opens).await, Some(missing()));
    let (before, vault) = (rig.vault.asked.load(Ordering::SeqCst), rig.vault.clone());
    let mut all: Pin<Box<dyn Future<Output = Answer>>> = Box::pin(async move {
        let keys = [NAME, "disk.other", "disk.third"].map(str::to_owned);
        let values = vault.open(&keys, NOW_MS).await?;
        Ok(values.iter().map(SecretValue::expose).collect())
    });
    assert_eq!(answer(&mut all).await, None);
    rig.look(true);
    assert_eq!(answer(&mut all).await, Some(missing()), "the first of them");
    assert_eq!(rig.vault.asked.load(Ordering::SeqCst), before + 1);
}
