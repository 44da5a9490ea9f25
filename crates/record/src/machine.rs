//! What machine a run was on, for the summary and the report.
//!
//! Promise: never fails; what cannot be found out is empty or absent. On Linux the answers come from
//! `/proc`, elsewhere only the number of cores and the system's name are known.

use serde::{Deserialize, Serialize};

/// A machine as a reader of a benchmark wants to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Operating system and processor family, such as `linux x86_64`.
    pub system: String,
    /// Name of the processor; empty if unknown.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u64,
    /// Main memory; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Device that the tensors live on.
    pub device: String,
}

impl Machine {
    /// Looks at the machine.
    pub fn here(device: &str) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: cpu_name(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, |n| n.get() as u64),
            memory_bytes: kibibytes(&read("/proc/meminfo"), "MemTotal"),
            device: device.to_owned(),
        }
    }
}

/// The memory that this process may take: the machine's, or less where its control group says so.
pub fn memory_limit_bytes() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let group = read("/sys/fs/cgroup/memory.max").trim().parse().ok();
    [kibibytes(&read("/proc/meminfo"), "MemTotal"), group].into_iter().flatten().min()
}

/// Memory that this process holds now, in bytes; `None` if the system does not tell.
pub fn memory_bytes() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS")
}

/// Largest memory that this process has held so far, in bytes; `None` if the system does not tell.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    kibibytes(&status, "VmHWM")
}

fn cpu_name(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, name)| name.trim().to_owned())
        .unwrap_or_default()
}

/// The `key: N kB` line of a `/proc` file, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, rest) = fields.find(|(name, _)| *name == key)?;
    rest.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(cpu_name("processor\t: 0\nmodel name\t: Fast CPU @ 2GHz\n"), "Fast CPU @ 2GHz");
        assert_eq!(kibibytes("MemFree: 1 kB\nMemTotal:   2048 kB\n", "MemTotal"), Some(2 << 20));
        assert_eq!(kibibytes("", "MemTotal"), None);
        assert!(Machine::here("cpu").cores > 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_of_this_process_holds_what_it_once_held() {
        let before = peak_memory_bytes().unwrap();
        let held = std::hint::black_box(vec![1u8; 1 << 28]);
        drop(held);
        assert!(peak_memory_bytes().unwrap() >= before.max(1 << 28));
    }
}
