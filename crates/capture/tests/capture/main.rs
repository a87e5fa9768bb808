//! Facts about walking, restoring and comparing trees and images. Run as root: owners and devices are made.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that cannot go on has failed")]

mod hostile;
mod image;
mod pieces;
mod support;
mod trees;
mod walk;
