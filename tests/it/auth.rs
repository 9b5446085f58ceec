//! From a token to the backend, and each way a token is refused.

mod accepted;
mod forms;
mod refused;
