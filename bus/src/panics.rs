//! Panics of supervised code: caught, with what they said and where, and without the noise of the default hook,
//! which would write a backtrace for every try of a restart.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The answer of `call`, or what its panic said.
///
/// What `call` may have left half done is the caller's to drop or to undo.
///
/// # Errors
/// The panic's message and place.
pub(crate) fn caught<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    install_hook();
    // What somebody below has caught by himself is over.
    SAID.set(None);
    DEPTH.set(DEPTH.get() + 1);
    let answer = catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get() - 1);
    // One that another thread has passed on has met no hook here.
    answer.map_err(|payload| SAID.take().unwrap_or_else(|| message(&*payload).to_owned()))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

/// Keeps what panics of supervised code say; all others go to the hook that was there.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| match DEPTH.get() {
            0 => before(info),
            _ => SAID.set(Some(told(info))),
        }));
    });
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    match info.location() {
        Some(place) => format!("{message} ({}:{}:{})", place.file(), place.line(), place.column()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;

    use super::*;

    #[test]
    fn what_a_panic_said_and_where_is_kept() {
        let said = caught(|| panic!("number {}", 7)).unwrap_err();
        assert!(said.starts_with("number 7 (") && said.contains("panics.rs:"), "{said}");
        assert_eq!(caught(|| 5), Ok(5));
        let inner = caught(|| caught(|| panic!("inner")).unwrap_err()).unwrap();
        assert!(inner.starts_with("inner ("), "{inner}");
    }

    #[test]
    fn what_another_thread_passes_on_is_kept_as_well() {
        let far = || -> u8 { resume_unwind(Box::new("far")) };
        let passed_on = || std::thread::scope(|scope| scope.spawn(far).join()).unwrap_or_else(|p| resume_unwind(p));
        assert_eq!(caught(passed_on), Err("far".to_owned()));
        // What was caught below is not taken for it.
        let said = caught(|| -> u8 {
            let near = catch_unwind(|| -> u8 { panic!("near") });
            panic!("last, after {}", near.is_err())
        });
        assert!(said.unwrap_err().starts_with("last, after true ("));
    }
}
