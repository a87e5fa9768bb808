//! The main job from outside: the real binary on real files, judged by other people's tools.

mod copying;
mod crash;
mod damage;
mod fidelity;
mod incremental;
mod trouble;
mod world;
