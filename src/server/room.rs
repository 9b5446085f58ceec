//! A place for one more connection, where there are none left.

use std::rc::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::places::Places;
use super::timeouts::{Entry, Sweep};

/// How long a connection waits for another one's place.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for a place, for which the connection that has rested longest is closed. `false`: nobody rests.
pub(super) async fn make_room(places: &Places, sweep: &Sweep) -> bool {
    if !places.is_full() {
        return true;
    }
    let began = Instant::now();
    let mut told = None;
    let mut asks_others = false;
    while places.is_full() && began.elapsed() < PATIENCE {
        let is_going = |entry: &Weak<Entry>| entry.strong_count() > 0;
        if !told.as_ref().is_some_and(is_going) {
            told = sweep.close_longest_idle();
            if told.is_none() && !asks_others {
                asks_others = true;
                places.wish();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if asks_others {
        // Unless somebody has heard it.
        places.take_wish();
    }
    !places.is_full()
}
