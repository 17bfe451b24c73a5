"""A package, so that the browser, which is of its scope, lives no longer than its tests."""
