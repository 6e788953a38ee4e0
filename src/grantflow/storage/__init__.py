"""The platform's SQL, and only here: one set of functions over two engines behind the roles' ports."""
