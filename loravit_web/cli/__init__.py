"""The command line: one module per noun, which holds its options, its acts and its documents."""
