//! A child's watch over its parent: a module must not outlive its supervisor.

use std::time::Duration;

/// How often a module looks whether its supervisor is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Exit code of a module whose supervisor is gone.
pub const EXIT_ORPHANED: i32 = 70;

/// Starts a thread that ends this process with [`EXIT_ORPHANED`] when its parent is no longer process `parent`.
/// For programs only; modules as library functions have their host instead.
pub fn spawn_parent_watch(parent: u32) {
    std::thread::spawn(move || {
        while is_parent(parent) {
            std::thread::sleep(LOOK_EVERY);
        }
        tracing::warn!(parent, "the supervisor is gone; ending too");
        std::process::exit(EXIT_ORPHANED);
    });
}

fn is_parent(parent: u32) -> bool {
    rustix::process::getppid().is_some_and(|pid| u32::try_from(pid.as_raw_nonzero().get()) == Ok(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_real_parent_counts() {
        let parent = std::os::unix::process::parent_id();
        assert!(is_parent(parent));
        assert!(!is_parent(std::process::id()));
    }
}
