//! The commands as a user meets them: the real binary, its output and its exit status.

mod backups;
mod commands;
mod copies;
mod scene;
mod site;
mod stores;
