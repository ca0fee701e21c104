//! Outward adapters: the only code that talks to the two services.

pub mod amocrm;
pub mod http;
pub mod lane;
pub mod salebot;
