//! Effects: the instants at which a write to a store, a catalog or a restore target begins or ends.
//!
//! Crash tests kill the process at each of them in turn. Without the feature `crash-points` the
//! call compiles to nothing.

/// Announces that the process stands just before or just after the write called `name`.
#[inline]
pub fn effect(name: &'static str) {
    #[cfg(feature = "crash-points")]
    if let Some(hook) = hook::HOOK.get() {
        hook(name);
    }
    #[cfg(not(feature = "crash-points"))]
    let _unused: &str = name;
}

#[cfg(feature = "crash-points")]
mod hook {
    use std::sync::OnceLock;

    pub(super) static HOOK: OnceLock<fn(&'static str)> = OnceLock::new();

    /// Installs what every later [`effect`](super::effect) calls. The first call wins.
    pub fn install(hook: fn(&'static str)) {
        HOOK.get_or_init(|| hook);
    }
}

#[cfg(feature = "crash-points")]
pub use hook::install;
