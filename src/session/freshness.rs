//! Keeps accounts in use fresh ahead of need, so that no request waits for the directory.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::live::LiveAccounts;
use super::store::Sessions;
use crate::model::Clock;

/// Between looks for accounts that are due.
const TICK: Duration = Duration::from_secs(1);

/// Refreshes every used account before its `ttl` is over, until `stop`. Runs on the control runtime.
pub(crate) async fn keep_accounts_fresh(
    accounts: Arc<LiveAccounts>,
    sessions: Arc<Sessions>,
    ttl: Duration,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0_u32;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        // The age at which an account is due moves between six and eight tenths, so that accounts that came in together
        // do not stay together.
        round = round.wrapping_add(1);
        let age = ttl.mul_f64(0.6 + 0.1 * f64::from(round % 3));
        for account in accounts.states.due(clock.now(), age) {
            let loader = sessions.loader();
            // Each by itself: a directory that hangs on one must not keep the others from being asked.
            tokio::spawn(async move {
                if let Err(error) = loader.refresh_account(&account).await {
                    tracing::warn!(reason = %error.reason(), %error, "account not refreshed");
                }
            });
        }
    }
}
