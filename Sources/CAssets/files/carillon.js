// The browser module; see its own documentation below.
