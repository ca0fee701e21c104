//! The `salebridge` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    salebridge::cli::main()
}
