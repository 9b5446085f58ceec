/// Whose fault a failure is. Every error says it, and only the table of answers makes a status of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever sent the request: sent again as it is, it fails again.
    Caller,
    /// Somebody who was asked, or the way there: nothing is known, and it passes.
    Remote,
    /// The gateway, or its configuration.
    Ours,
}
