//! What is sent, for as long as its attempt may go on. A connection is a task of its own, that goes on by itself once it
//! has been given a request; it asks for each piece of the body here.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::super::limited::Leave;

/// Largest piece, in bytes: so much is sent, at most, from when it was looked at whether anything may be.
const PIECE_BYTES: usize = 16 << 10;

/// The attempt may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its attempt may not go on")]
pub(super) struct Over;

/// A body of an attempt.
#[derive(Debug)]
pub(super) struct Leased {
    rest: Bytes,
    leave: Leave,
}

impl Leased {
    pub(super) fn new(body: Bytes, leave: Leave) -> Self {
        Self { rest: body, leave }
    }
}

impl Body for Leased {
    type Data = Bytes;
    type Error = Over;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Over>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.leave.over().is_some() {
            return Poll::Ready(Some(Err(Over)));
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use petrel_execution::worker::Holding;
    use tokio::sync::watch;

    use super::*;
    use crate::runner::limited::tests::holding;

    fn next(body: &mut Leased) -> Option<Result<usize, Over>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap().len())),
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    fn body(lease_ms: u64) -> (watch::Sender<Holding>, Leased) {
        let (director, held) = watch::channel(holding(lease_ms));
        (director, Leased::new(Bytes::from(vec![b'x'; 40_000]), Leave::new(held, 60_000)))
    }

    #[test]
    fn a_body_is_sent_in_pieces_while_its_attempt_may_go_on() {
        let (_director, mut all) = body(60_000);
        assert_eq!(all.size_hint().exact(), Some(40_000));
        let pieces: Vec<usize> = std::iter::from_fn(|| next(&mut all)).map(Result::unwrap).collect();
        assert_eq!(pieces, [16_384, 16_384, 7_232]);
        assert!(all.is_end_stream());
    }

    #[test]
    fn nothing_more_of_a_body_is_sent_once_its_lease_is_over() {
        let (director, mut cut) = body(60_000);
        assert_eq!(next(&mut cut), Some(Ok(16_384)));
        director.send_modify(|held| *held = holding(0));
        assert_eq!(next(&mut cut), Some(Err(Over)));
        // A worker that has stopped sends nothing either.
        let (director, mut cut) = body(60_000);
        director.send_modify(Holding::end);
        assert_eq!(next(&mut cut), Some(Err(Over)));
        let (director, mut cut) = body(60_000);
        drop(director);
        assert_eq!(next(&mut cut), Some(Err(Over)));
    }
}
