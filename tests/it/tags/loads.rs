//! Loads and tags: none that began before a withdrawal is stored, and nobody who comes after it gets what they bring.
