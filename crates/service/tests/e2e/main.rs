//! The main job from outside: the real binary on real files, judged by other people's tools.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod bucket;
mod chaos;
mod copying;
mod crash;
mod damage;
mod fidelity;
mod incremental;
mod kms;
mod lost;
mod nodes;
mod postgres;
mod scale;
mod trouble;
mod world;
