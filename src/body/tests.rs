use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use http::HeaderMap;
use http_body_util::BodyExt;

use super::*;

/// Frames in order; `None` in the list is a failure.
struct Script(VecDeque<Option<Frame<Bytes>>>);

impl HttpBody for Script {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(
            self.0
                .pop_front()
                .map(|frame| frame.ok_or(BodyError::Unwanted)),
        )
    }
}

fn data(text: &'static str) -> Option<Frame<Bytes>> {
    Some(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn script(frames: impl IntoIterator<Item = Option<Frame<Bytes>>>) -> Body {
    Body::stream(Script(frames.into_iter().collect()))
}

fn watched(body: Body) -> (Body, Rc<RefCell<Vec<BodyEnd>>>) {
    let ends: Rc<RefCell<Vec<BodyEnd>>> = Rc::default();
    let seen = Rc::clone(&ends);
    (body.on_end(move |end| seen.borrow_mut().push(end)), ends)
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

fn end(outcome: Outcome, bytes: u64) -> BodyEnd {
    BodyEnd { outcome, bytes }
}

#[test]
fn the_end_is_told_once_with_the_bytes_that_passed() {
    let (body, ends) = watched(script([data("abc"), data("de")]));
    assert_eq!(run(body.collect()).unwrap().to_bytes(), "abcde");
    assert_eq!(*ends.borrow(), [end(Outcome::Complete, 5)]);
}

#[test]
fn a_failing_source_is_a_cut_and_an_error() {
    let (body, ends) = watched(script([data("abc"), None]));
    assert!(run(body.collect()).is_err());
    assert_eq!(*ends.borrow(), [end(Outcome::Cut, 3)]);
}

#[test]
fn a_reader_that_leaves_is_told_from_a_cut() {
    let (mut body, ends) = watched(script([data("abc"), data("de")]));
    run(body.frame()).unwrap().unwrap();
    drop(body);
    assert_eq!(*ends.borrow(), [end(Outcome::Dropped, 3)]);
}

#[test]
fn a_body_at_hand_ends_with_its_only_frame_and_counts_as_whole_when_not_asked_for() {
    let (mut body, ends) = watched(Body::full("abc"));
    assert_eq!(body.size_hint().exact(), Some(3));
    run(body.frame()).unwrap().unwrap();
    assert!(body.is_end_stream());
    assert_eq!(*ends.borrow(), [end(Outcome::Complete, 3)]);
    for body in [Body::full("abc"), Body::empty(), Body::full("")] {
        let (body, ends) = watched(body);
        drop(body);
        assert_eq!(*ends.borrow(), [end(Outcome::Complete, 0)]);
    }
}

#[test]
fn hooks_run_in_the_order_they_were_added() {
    let order: Rc<RefCell<Vec<u8>>> = Rc::default();
    let (first, second) = (Rc::clone(&order), Rc::clone(&order));
    let body = Body::empty()
        .on_end(move |_| first.borrow_mut().push(1))
        .on_end(move |_| second.borrow_mut().push(2));
    drop(body);
    assert_eq!(*order.borrow(), [1, 2]);
}

#[test]
fn row_22_trailers_are_filtered_or_dropped_and_end_the_body() {
    let trailers = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("x-access-token", "t".parse().unwrap());
        Some(Frame::trailers(trailers))
    };
    let (body, ends) = watched(script([data("a"), trailers()]));
    let collected = run(body.collect()).unwrap();
    assert_eq!(collected.trailers().unwrap().len(), 1);
    assert_eq!(*ends.borrow(), [end(Outcome::Complete, 1)]);
    let (body, ends) = watched(script([data("a"), trailers()]));
    let collected = run(body.with_trailers(TrailerRule::Drop).collect()).unwrap();
    assert!(collected.trailers().is_none());
    assert_eq!(*ends.borrow(), [end(Outcome::Complete, 1)]);
}

#[test]
fn row_28_and_21_draining_has_no_limit_of_bytes() {
    const CHUNK: &str = "0123456789abcdef";
    let (body, ends) = watched(script((0..100_000).map(|_| data(CHUNK))));
    run(body.drain());
    assert_eq!(*ends.borrow(), [end(Outcome::Complete, 1_600_000)]);
}

/// A frame after each pause.
fn slow(pauses: &'static [u64]) -> Body {
    let frames = futures_util::stream::iter(pauses);
    let frames = futures_util::StreamExt::then(frames, |pause| async {
        tokio::time::sleep(Duration::from_secs(*pause)).await;
        Ok(Frame::data(Bytes::from_static(b"x")))
    });
    Body::stream(http_body_util::StreamBody::new(frames))
}

#[test]
fn row_28_and_21_draining_ends_with_the_silence_and_with_its_time() {
    let drained = |body: Body| {
        let (body, ends) = watched(body);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let began = runtime.block_on(async {
            let began = tokio::time::Instant::now();
            body.drain().await;
            began.elapsed()
        });
        let ends = ends.borrow();
        (began.as_secs(), ends[0].bytes)
    };
    assert_eq!(drained(slow(&[4, 4, 4, 4, 6, 1])), (21, 4));
    assert_eq!(drained(slow(&[4; 20])), (30, 7));
}
