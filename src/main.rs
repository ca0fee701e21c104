//! The `salebridge` command.

fn main() {}
