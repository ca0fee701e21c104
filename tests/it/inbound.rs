//! The HTTP side over a real socket.
