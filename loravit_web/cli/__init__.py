"""The command line: one module per which holds its options, its acts and its documents."""
