//! Programs that others wrote say the same of a server and of the gateway before it. The Node packages and Python's are
//! driven by the scripts of `tests/clients`.

mod h2spec;
mod issuers;
mod webdav;
