//! Keystone.
