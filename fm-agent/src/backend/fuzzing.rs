//! The readers of controllers' answers, opened to the fuzz targets: nothing of it is in the product.

pub use super::fm_manager::fuzzing as fm_manager;
pub use super::fm_rest_api::fuzzing as fm_rest_api;
pub use super::keystone::fuzzing as keystone;
