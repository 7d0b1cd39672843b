//! The promises of the library, tested through its public interface, one file each.

mod smoke;
