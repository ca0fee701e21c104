//! The simulated amoCRM against the documentation, call by call.
