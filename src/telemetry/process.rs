//! `process_*`: what the system knows of this process, under the names that every exporter of Prometheus uses.

use std::fs;

/// What was found; what the system does not say is left out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Seconds of all CPUs, user and system.
    pub(super) cpu_seconds: f64,
    /// Bytes in memory.
    pub(super) resident: Option<u64>,
    /// Bytes of address space.
    pub(super) virtual_size: Option<u64>,
    /// Open descriptors.
    pub(super) open_fds: Option<u64>,
    /// Descriptors there may be.
    pub(super) max_fds: Option<u64>,
    /// Threads.
    pub(super) threads: Option<u64>,
}

impl Usage {
    /// Reads what the system says now.
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let descriptors = fs::read_dir("/proc/self/fd").ok();
        Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident: kib(&status, "VmRSS:"),
            virtual_size: kib(&status, "VmSize:"),
            // Without the one that reads the folder.
            open_fds: descriptors.map(|all| (all.count() as u64).saturating_sub(1)),
            max_fds: limit.current,
            threads: number(&status, "Threads:"),
        }
    }
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kib(status: &str, name: &str) -> Option<u64> {
    number(status, name)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_descriptors_and_threads() {
        let usage = Usage::read();
        assert!(usage.cpu_seconds > 0.0);
        assert!(usage.resident.unwrap() > 1 << 20);
        assert!(usage.virtual_size.unwrap() >= usage.resident.unwrap());
        assert!(usage.open_fds.unwrap() >= 3);
        assert!(usage.max_fds.unwrap() > usage.open_fds.unwrap());
        assert!(usage.threads.unwrap() >= 1);
    }

    #[test]
    fn a_line_that_is_not_there_is_left_out() {
        assert_eq!(kib("VmSize:\t   12 kB\n", "VmRSS:"), None);
        assert_eq!(kib("VmRSS:\t   12 kB\n", "VmRSS:"), Some(12_288));
    }
}
