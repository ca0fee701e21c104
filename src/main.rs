//! The `salebridge` command.

fn main() -> std::process::ExitCode {
    salebridge::cli::main()
}
