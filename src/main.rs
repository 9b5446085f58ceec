//! Arguments, configuration, gateway, exit code.

fn main() {}
